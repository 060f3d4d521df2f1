"""`dmsctl backup FILE`: write an archive of the volumes, while the server runs or not."""

import errno
import grp
import os
import pwd
import signal
import stat
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from io import BytesIO
from types import FrameType
from typing import Any, BinaryIO, Final, cast

from dmsinit import __version__
from dmsinit.archive import databases, flush
from dmsinit.archive.layout import (  # fmt: skip
    CHECKSUMS,
    CONFIG,
    FORMAT,
    LOGS,
    MAIL,
    MANIFEST,
    PATHS,
    STATE,
    SUMMARY,
    XATTR,
    ArchiveError,
    Counts,
    Result,
    checksum_line,
    link_leads_out,
)
from dmsinit.archive.scan import Found, Scan
from dmsinit.archive.stream import STDIO, Progress, forget_members, is_same_file, writing
from dmsinit.base.beneath import parent_of

_ROUNDS: Final = 3
"""How often what changed meanwhile is looked for again; on a busy server something always does."""
_NAMED: Final = 20
"""So many links that are left out are told by name."""


def backup(place: str, *, logs: bool = False, force: bool = False, paths: Mapping[str, str] = PATHS) -> Result:
    """Write an archive to `place` (`-`: standard output). Raises ArchiveError; nothing is left behind then."""
    names = [name for name in (CONFIG, MAIL, STATE, *([LOGS] if logs else [])) if os.path.isdir(paths[name])]
    warnings = []
    if STATE not in names:
        warnings.append(
            f"{paths[STATE]} is not mounted: the mail queue and what filters have learnt are not in the backup"
        )
    else:
        warnings += flush.services()
    with _ended_by_term(), writing(place, force=force) as (stream, identity):
        writer = _Writer(stream, identity, paths)
        manifest = writer.write(names)
    if writer.left_out:
        listed = ", ".join(writer.left_out[:_NAMED])
        warnings.append(f"links that point outside the volumes are not in the backup: {listed}")
    shown = "standard output" if place == STDIO else place
    return Result("written", shown, manifest, writer.counts, warnings)


@contextmanager
def _ended_by_term() -> Iterator[None]:
    """End on TERM as on an interrupt, so that no half archive stays behind."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Writer:
    """Writes one archive into a stream."""

    def __init__(self, stream: BinaryIO, identity: tuple[int, int], paths: Mapping[str, str]) -> None:
        self.counts = Counts()
        self.left_out: list[str] = []
        self._identity = identity
        self._paths = paths
        self._tar = tarfile.open(  # noqa: SIM115 - as long as the archive, too
            fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 18
        )
        self._sums = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the archive
        self._links: dict[tuple[int, int], str] = {}
        self._copies: set[str] = set()

    def write(self, names: list[str]) -> dict[str, Any]:
        """Write the whole archive, and return its manifest."""
        with self._sums, self._tar:
            manifest = self._manifest(names)
            self._document(MANIFEST, manifest)
            for name in names:
                self._volume(name, manifest["volumes"][name]["files"])
            self._document(SUMMARY, {"counts": self.counts.document(), "left_out": self.left_out})
            self._sums.seek(0, os.SEEK_END)
            info = _plain(CHECKSUMS, self._sums.tell())
            self._sums.seek(0)
            self._tar.addfile(info, self._sums)
        return manifest

    def _manifest(self, names: list[str]) -> dict[str, Any]:
        volumes = {}
        for name in names:
            files = [one.status.st_size for one in Scan(name, self._paths[name]).every() if _is_file(one.status)]
            volumes[name] = {"path": PATHS[name], "files": len(files), "bytes": sum(files)}
        return {
            "format": FORMAT, "program": "dmsinit", "version": __version__,
            "release": os.environ.get("DMS_RELEASE", ""), "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "fqdn": _full_name(), "volumes": volumes,
        }  # fmt: skip

    def _volume(self, name: str, expected: int) -> None:
        scan = Scan(name, self._paths[name])
        with Progress(name, expected) as progress:
            self._take(scan, scan.every(), progress)
            for _ in range(_ROUNDS):
                if not self._take(scan, scan.again(), progress):
                    break
        self.counts.vanished += scan.vanished

    def _take(self, scan: Scan, entries: Iterator[Found], progress: Progress) -> int:
        taken = 0
        for found in entries:
            if is_same_file(found.status, self._identity):
                continue
            try:
                self._add(scan.volume, found, progress)
                taken += 1
            except FileNotFoundError:
                scan.forget(found)
            except PermissionError:
                raise ArchiveError(f"cannot read {found.place}: permission denied; run this as root") from None
            forget_members(self._tar)
        return taken

    def _add(self, volume: str, found: Found, progress: Progress) -> None:
        name = f"{volume}/{found.path}".rstrip("/")
        mode = found.status.st_mode
        if stat.S_ISREG(mode):
            progress.add(self._file(volume, name, found))
        elif stat.S_ISDIR(mode):
            info = _info(name, found.status, _attributes(found.place))
            info.type = tarfile.DIRTYPE
            self._tar.addfile(info)
            self.counts.directories += 1
        else:
            info = _info(name, found.status, {})
            info.type, info.linkname = tarfile.SYMTYPE, os.readlink(found.place)
            if link_leads_out(volume, found.path, info.linkname):
                self.left_out.append(f"{PATHS[volume]}/{found.path}")
                return
            self._tar.addfile(info)
            self.counts.links += 1

    def _file(self, volume: str, name: str, found: Found) -> int:
        """Write a regular file and return its size."""
        if found.place in self._copies:
            return 0  # the copy of its database has what is in it
        fd = _opened(found.place)
        with os.fdopen(fd, "rb", buffering=0) as file:
            status = os.fstat(fd)
            identity = (status.st_dev, status.st_ino)
            if status.st_nlink > 1 and identity in self._links:
                self._hard_link(name, status, self._links[identity])
                return 0
            info = _info(name, status, _attributes(fd))
            copy = databases.copied(found.place, cast("BinaryIO", file)) if volume in (CONFIG, STATE) else None
            if copy is not None:
                self._copies.update(found.place + suffix for suffix in databases.COMPANIONS)
                with copy:
                    info.size = os.fstat(copy.fileno()).st_size
                    self._content(info, copy)
            else:
                info.size = status.st_size
                self._content(info, cast("BinaryIO", file))
            if status.st_nlink > 1:
                self._links[identity] = name
        return info.size

    def _hard_link(self, name: str, status: os.stat_result, first: str) -> None:
        info = _info(name, status, {})
        info.type, info.linkname = tarfile.LNKTYPE, first
        self._tar.addfile(info)
        self.counts.links += 1

    def _content(self, info: tarfile.TarInfo, file: BinaryIO) -> None:
        content = _Content(file, info.size)
        self._tar.addfile(info, cast("BinaryIO", content))
        self._sums.write(checksum_line(content.digest.hexdigest(), info.name))
        self.counts.files += 1
        self.counts.bytes += info.size
        self.counts.changed += content.shorter

    def _document(self, name: str, value: dict[str, Any]) -> None:
        import json

        text = json.dumps(value, indent=2).encode() + b"\n"
        self._tar.addfile(_plain(name, len(text)), BytesIO(text))
        self._sums.write(checksum_line(sha256(text).hexdigest(), name))


class _Content:
    """Reads exactly `size` bytes of a file that may grow or shrink meanwhile, and sums them up."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.digest = sha256()
        self.shorter = False
        self._file = file
        self._left = size

    def read(self, count: int) -> bytes:
        count = min(count, self._left)
        data = b"" if self.shorter else self._file.read(count)
        if not data and count:
            self.shorter = True
            data = bytes(count)
        while len(data) < count:
            more = self._file.read(count - len(data))
            if not more:
                self.shorter = True
                more = bytes(count - len(data))
            data += more
        self._left -= len(data)
        self.digest.update(data)
        return data


def _opened(place: str) -> int:
    """Open a regular file for reading; what others put in its place, or above it, since it was found has vanished."""
    try:
        with parent_of(place) as (directory, name):
            return directory.descriptor(name)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EINVAL, errno.ENOTDIR):
            raise FileNotFoundError(error.errno, error.strerror, place) from None
        raise


def _is_file(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode)


def _plain(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, int(datetime.now(UTC).timestamp())
    return info


def _info(name: str, status: os.stat_result, attributes: dict[str, str]) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode = stat.S_IMODE(status.st_mode)
    info.uid, info.gid, info.mtime = status.st_uid, status.st_gid, status.st_mtime
    info.uname, info.gname = _user(info.uid), _group(info.gid)
    info.pax_headers = dict(attributes)
    return info


def _attributes(place: str | int) -> dict[str, str]:
    """Return the extended attributes that belong to people: their own, and access control lists."""
    found = {}
    try:
        names = os.listxattr(place)
        for name in names:
            if name.startswith(("user.", "system.posix_acl_")):
                found[XATTR + name] = os.getxattr(place, name).decode("utf-8", "surrogateescape")
    except OSError:  # this file system has none, or one has just gone
        return found
    return found


@cache
def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


@cache
def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return ""


def _full_name() -> str:
    """Return the server's name as /etc/mailname's neighbours know it; "" where no server has been."""
    from dmsinit.base.server_name import NoDomain, full_name

    try:
        return full_name("")
    except NoDomain:
        return ""
