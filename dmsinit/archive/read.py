"""`dmsctl backup --verify FILE`: prove that an archive is whole and harmless, by reading all of it once."""

import json
import os
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import IO, Any, Final

from dmsinit.archive.layout import (  # fmt: skip
    CHECKSUMS,
    FORMAT,
    MANIFEST,
    SUMMARY,
    ArchiveError,
    Counts,
    Result,
    checksum_line,
    named_in,
    objection,
)
from dmsinit.archive.stream import STDIO, Progress, forget_members, reading

CHUNK_BYTES: Final = 1 << 20
_DOCUMENT_BYTES: Final = 16 << 20
"""Manifest and summary are smaller, unless somebody wants to fill our memory."""
_NAMED: Final = 10


def verify(place: str) -> Result:
    """Read an archive (`-`: standard input) and return what is in it. Raises ArchiveError when it cannot be trusted."""
    shown = "standard input" if place == STDIO else place
    with tempfile.TemporaryFile() as sums, Progress(f"verifying {os.path.basename(shown)}") as progress:
        proof = _Proof(shown, sums)
        with opened(place) as tar:
            for member in members(tar):
                proof.look(tar, member)
                progress.add(member.size)
        return proof.result()


@contextmanager
def opened(place: str) -> Iterator[tarfile.TarFile]:
    """Open an archive for one reading from begin to end; what is wrong with it becomes ArchiveError."""
    with reading(place) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK_BYTES) as tar:
                yield tar
            while stream.read(CHUNK_BYTES):  # a compressor's own checksum stands at the end
                pass
        except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
            raise ArchiveError(f"cannot read {place}: it is damaged or no archive: {error}") from None


def members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the members in their order, without keeping them."""
    while (member := tar.next()) is not None:
        yield member
        forget_members(tar)


def content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    """Return the content of a regular file."""
    file = tar.extractfile(member)
    if file is None:
        raise ArchiveError(f"cannot read {member.name}: it is not a file")
    return file


class _Proof:
    """What has been seen of an archive so far."""

    def __init__(self, place: str, sums: IO[bytes]) -> None:
        self._place = place
        self._counts = Counts()
        self._documents: dict[str, dict[str, Any]] = {}
        self._sums = sums
        self._complete = False

    def look(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """Take the next member into account."""
        why = objection(member)
        if why:
            raise ArchiveError(f"cannot trust {self._place}: {member.name}: {why}; it was not made by dmsctl backup")
        if self._complete or (member.name == MANIFEST) == bool(self._documents):
            raise ArchiveError(f"cannot trust {self._place}: {member.name} is not where it belongs")
        if member.name == CHECKSUMS:
            self._compare(content(tar, member))
        elif member.name in (MANIFEST, SUMMARY):
            self._document(content(tar, member), member)
        else:
            self._count(tar, member)

    def result(self) -> Result:
        """Return what is in the archive; ArchiveError when it breaks off or holds not what it says."""
        if not self._complete:
            raise ArchiveError(f"cannot trust {self._place}: it is truncated; make a new backup")
        told = self._documents.get(SUMMARY, {}).get("counts", {})
        seen = self._counts.document()
        for name in ("files", "bytes", "directories", "links"):
            if told.get(name) != seen[name]:
                raise ArchiveError(
                    f"cannot trust {self._place}: it holds {seen[name]} {name} and should hold {told.get(name)}"
                )
        self._counts.vanished, self._counts.changed = told.get("vanished", 0), told.get("changed", 0)
        return Result("verified", self._place, self._documents[MANIFEST], self._counts)

    def _count(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        if member.isdir():
            self._counts.directories += 1
        elif not member.isreg():
            self._counts.links += 1
        else:
            digest = sha256()
            file = content(tar, member)
            while data := file.read(CHUNK_BYTES):
                digest.update(data)
            self._sums.write(checksum_line(digest.hexdigest(), member.name))
            self._counts.files += 1
            self._counts.bytes += member.size

    def _document(self, file: IO[bytes], member: tarfile.TarInfo) -> None:
        text = file.read(_DOCUMENT_BYTES)
        self._sums.write(checksum_line(sha256(text).hexdigest(), member.name))
        try:
            value = json.loads(text)
            known = value["format"] <= FORMAT if member.name == MANIFEST else isinstance(value["counts"], dict)
        except (ValueError, KeyError, TypeError):
            raise ArchiveError(f"cannot trust {self._place}: its {member.name} cannot be read") from None
        if not known:
            raise ArchiveError(f"cannot read {self._place}: it was made by a later release; use that one")
        self._documents[member.name] = value

    def _compare(self, told: IO[bytes]) -> None:
        """Compare the checksums that stand in the archive with those of what stands there."""
        self._sums.seek(0)
        differing = [named_in(line) for line in _differences(self._sums, told)]
        if differing:
            names = ", ".join(differing[:_NAMED]) + (" …" if len(differing) > _NAMED else "")
            raise ArchiveError(
                f"cannot trust {self._place}: {len(differing)} files are not what was backed up: {names}"
            )
        self._complete = True


def _differences(ours: IO[bytes], told: IO[bytes]) -> Iterator[bytes]:
    """Yield a line for each that differs, until one of both ends."""
    while True:
        line, expected = ours.readline(), told.readline()
        if line != expected:
            yield expected or line
        if not line or not expected:
            return
