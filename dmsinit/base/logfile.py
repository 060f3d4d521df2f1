"""The log file of one service: appended to, rotated by size, and honest about what it could not take."""

import errno
import os
from typing import Final, Protocol

from dmsinit.base.beneath import behind
from dmsinit.base.mounts import hanging

_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_FILE_BYTES: Final = 10 * 1024 * 1024
_FILES_KEPT: Final = 3


class Writer(Protocol):
    """Who writes what may hang: it takes the bytes at once, and counts those of a path that were lost."""

    def append(self, mount: str, path: str, data: bytes) -> None: ...
    def bytes_lost(self, path: str) -> int: ...


class LogFile:
    """An append-only file that is renamed to NAME.1 … when it has grown to `limit_bytes`.

    A symbolic link that only root can have made is followed, and rotated where it leads. Others may rename, delete or
    truncate the file (logrotate's copytruncate): the next line goes into the file of that name, and its size counts.

    What cannot be written (no space, no directory, no descriptor) is lost to the file and never stops a service; as
    soon as the file can be written again, a line there says how much is missing and why.

    With a `writer`, a file on a file system that may hang is not touched here: the writer gets its bytes.
    """

    def __init__(
        self, path: str, writer: Writer | None = None, *, limit_bytes: int = _FILE_BYTES, kept: int = _FILES_KEPT
    ) -> None:
        self.path = path
        self._bytes_lost = 0
        self._writer = writer
        self._mount = ""
        self._link = ""
        self._limit = limit_bytes
        self._kept = kept
        self._fd = -1
        self._size = 0
        self._lost_bytes = 0
        self._lost_because = ""

    @property
    def bytes_lost(self) -> int:
        """How much could not be written."""
        return self._bytes_lost + (self._writer.bytes_lost(self.path) if self._writer is not None else 0)

    def write(self, data: bytes) -> None:
        """Append as much as there is room for."""
        if self._writer is not None and self._mount:
            self._writer.append(self._mount, self.path, data)
            return
        try:
            if not self._is_current():
                if self._leads_away():
                    self.write(data)
                    return
                self._open()
            if self._size >= self._limit:
                self._rotate()
            if self._lost_bytes:
                self._confess()
            written = os.write(self._fd, data)
        except OSError as error:
            self.close()
            self._lose(len(data), error.strerror or str(error))
        else:
            self._size += written
            if written < len(data):
                self._lose(len(data) - written, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _lose(self, count: int, because: str) -> None:
        self._bytes_lost += count
        self._lost_bytes += count
        self._lost_because = because

    def _confess(self) -> None:
        line = f"\n[dmsinit] {self._lost_bytes} bytes are missing here: {self._lost_because}\n"
        self._size += os.write(self._fd, line.encode())
        self._lost_bytes = 0

    def _is_current(self) -> bool:
        """Return whether the open file is the one of that name, and take note of its size."""
        if self._fd < 0:
            return False
        status = os.fstat(self._fd)
        self._size = status.st_size
        if _link(self.path) != self._link:
            return False  # what a new link leads to may hang
        try:
            return os.path.samestat(os.stat(self.path), status)
        except FileNotFoundError:
            return False

    def _leads_away(self) -> bool:
        """Return whether the file is for the writer from now on; it is called before a file is opened."""
        self._link = _link(self.path)
        if self._writer is not None:
            self._mount = hanging(self.path)
        if self._mount:
            self.close()
        return bool(self._mount)

    def _open(self) -> None:
        self.close()
        with behind(self.path) as (directory, name):
            self._fd = os.open(name, _FLAGS, 0o640, dir_fd=directory.fd)
        self._size = os.fstat(self._fd).st_size

    def _rotate(self) -> None:
        with behind(self.path) as (directory, name):
            for number in range(self._kept - 1, 0, -1):
                if directory.status(f"{name}.{number}") is not None:
                    directory.rename(f"{name}.{number}", f"{name}.{number + 1}")
            directory.rename(name, f"{name}.1")
        self._open()


def _link(path: str) -> str:
    """Return where a symbolic link leads, "" for anything else."""
    try:
        return os.readlink(path)
    except OSError:
        return ""
