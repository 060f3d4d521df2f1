"""The bytes of an archive: compressed and decompressed on the way, written whole or not at all, with progress."""

import os
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from typing import BinaryIO, Final, cast

from dmsinit.archive.layout import ArchiveError

_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_PROGRESS_SECONDS: Final = 0.2
STDIO: Final = "-"


@contextmanager
def writing(place: str, *, force: bool) -> Iterator[tuple[BinaryIO, tuple[int, int]]]:
    """Open an archive for writing, compressed as its name says; also yield (device, inode) of the file being written.

    The file appears under its name when all of it is on the disk. Raises ArchiveError.
    """
    if place == STDIO:
        if sys.stdout.isatty():
            raise ArchiveError("cannot write an archive to a terminal; name a file, or send the output to one")
        status = os.fstat(sys.stdout.fileno())
        try:
            yield sys.stdout.buffer, (status.st_dev, status.st_ino)
            sys.stdout.buffer.flush()
        except BrokenPipeError:  # who read had enough, which is theirs to explain
            raise
        except OSError as error:
            raise ArchiveError(f"cannot write the archive: {error.strerror or error}") from None
        return
    _refuse_existing(place, force=force)
    temporary = f"{os.path.dirname(place) or '.'}/.{os.path.basename(place)}.{os.getpid()}.partial"
    try:
        with _created(temporary) as file:
            status = os.fstat(file.fileno())
            with compressed(file, place) as stream:
                yield stream, (status.st_dev, status.st_ino)
            os.fsync(file.fileno())
        _refuse_existing(place, force=force)
        os.rename(temporary, place)
    except OSError as error:
        raise ArchiveError(f"cannot write {place}: {error.strerror or error}") from None
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def _refuse_existing(place: str, *, force: bool) -> None:
    if os.path.lexists(place) and not (force and os.path.isfile(place)):
        raise ArchiveError(f"cannot write {place}: it exists; choose another name, or add --force to replace it")


def _created(path: str) -> BinaryIO:
    """Create a file for the owner alone: an archive holds keys and hashes of passwords."""
    return cast("BinaryIO", os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb"))


@contextmanager
def compressed(file: BinaryIO, name: str) -> Iterator[BinaryIO]:
    """Compress what is written into `file`, as the end of `name` asks for."""
    if name.endswith(".zst"):
        with _program(["zstd", "--quiet", "--stdout"], stdin=subprocess.PIPE, stdout=file) as process:
            yield cast("BinaryIO", process.stdin)
    elif name.endswith((".gz", ".tgz")):
        import gzip

        with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file) as stream:
            yield cast("BinaryIO", stream)
    else:
        yield file
    file.flush()


@contextmanager
def reading(place: str) -> Iterator[BinaryIO]:
    """Open an archive for reading, whatever it is compressed with. Raises ArchiveError."""
    try:
        file = sys.stdin.buffer if place == STDIO else open(place, "rb")  # noqa: SIM115 - closed below, both
    except OSError as error:
        raise ArchiveError(f"cannot read {place}: {error.strerror}") from None
    with file:
        magic = cast("BufferedReader", file).peek(4)[:4]
        if magic == _ZSTD_MAGIC:
            _rewind(file)
            with _program(["zstd", "--quiet", "--decompress", "--stdout"], stdin=file, stdout=subprocess.PIPE) as one:
                yield cast("BinaryIO", one.stdout)
        elif magic[:2] == _GZIP_MAGIC:
            import gzip

            with gzip.GzipFile(fileobj=file) as stream:
                yield cast("BinaryIO", stream)
        else:
            yield file


def _rewind(file: BinaryIO) -> None:
    """Let another process read from the beginning what we have looked at."""
    try:
        os.lseek(file.fileno(), 0, os.SEEK_SET)
    except OSError:
        raise ArchiveError(
            "cannot decompress a pipe; write instead: zstd -dc FILE | dmsctl backup --verify -"
        ) from None


@contextmanager
def _program(
    command: list[str], *, stdin: BinaryIO | int, stdout: BinaryIO | int
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a compressor beside; ArchiveError with its complaint when it fails."""
    try:
        process = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE)
    except OSError as error:
        raise ArchiveError(f"cannot run {command[0]}: {error.strerror}; install it, or use .tar.gz") from None
    broken = None
    try:
        yield process
        if process.stdin:
            process.stdin.close()
    except (BrokenPipeError, EOFError) as error:
        broken = error
    finally:
        complaint = _end(process)
    if process.returncode or broken:
        raise ArchiveError(f"{command[0]} failed: {complaint or broken or process.returncode}")


def _end(process: "subprocess.Popen[bytes]") -> str:
    """Let the program end, and return its complaint in a line. A reader that has enough closes its pipe."""
    for pipe in (process.stdin, process.stdout):
        with suppress(BrokenPipeError):
            if pipe:
                pipe.close()
    with cast("BinaryIO", process.stderr) as errors:
        lines = errors.read().decode("utf-8", "replace").split("\n")
    process.wait()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def is_same_file(status: os.stat_result, identity: tuple[int, int]) -> bool:
    """Say whether `status` is that of the file (device, inode): the archive itself, in one of its volumes."""
    return stat.S_ISREG(status.st_mode) and (status.st_dev, status.st_ino) == identity


def forget_members(tar: tarfile.TarFile) -> None:
    """Drop what tarfile keeps of each member it has seen, a gigabyte for a million messages."""
    tar.members.clear()  # type: ignore[attr-defined]  # typeshed leaves it out, because it is not documented


class Progress:
    """A line on a terminal that says how far it is and goes at the end; nothing elsewhere."""

    def __init__(self, what: str, total: int | None = None) -> None:
        self._what = what
        self._total = total
        self._shown = sys.stderr.isatty()
        self._began = self._next = time.monotonic()
        self._files = self._bytes = 0

    def add(self, size: int) -> None:
        """Count a file."""
        self._files += 1
        self._bytes += size
        if self._shown and time.monotonic() >= self._next:
            self._show()

    def _show(self) -> None:
        from dmsinit.base import text

        now = time.monotonic()
        self._next = now + _PROGRESS_SECONDS
        of = f" of {self._total}" if self._total is not None else ""
        speed = text.size(int(self._bytes / max(now - self._began, 0.001)))
        line = f"{self._what}: {self._files}{of} files, {text.size(self._bytes)}, {speed}/s"
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
