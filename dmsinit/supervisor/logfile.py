"""The log file of one service: appended to, rotated by size, and honest about what it could not take."""

import errno
import os
from typing import Final

_FILE_BYTES: Final = 10 * 1024 * 1024
_FILES_KEPT: Final = 3


class LogFile:
    """An append-only file that is renamed to NAME.1 … when it has grown to `limit_bytes`.

    What cannot be written (no space, no directory, no descriptor) is lost to the file and never stops a service; as
    soon as the file can be written again, a line there says how much is missing and why.
    """

    def __init__(self, path: str, *, limit_bytes: int = _FILE_BYTES, kept: int = _FILES_KEPT) -> None:
        self.path = path
        self.bytes_lost = 0
        self._limit = limit_bytes
        self._kept = kept
        self._fd = -1
        self._size = 0
        self._lost_bytes = 0
        self._lost_because = ""

    def write(self, data: bytes) -> None:
        """Append as much as there is room for."""
        try:
            if self._fd < 0 or not os.path.exists(self.path):  # somebody may have deleted or rotated it
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
        self.bytes_lost += count
        self._lost_bytes += count
        self._lost_because = because

    def _confess(self) -> None:
        line = f"\n[dmsinit] {self._lost_bytes} bytes are missing here: {self._lost_because}\n"
        self._size += os.write(self._fd, line.encode())
        self._lost_bytes = 0

    def _open(self) -> None:
        self.close()
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._size = os.fstat(self._fd).st_size

    def _rotate(self) -> None:
        for number in range(self._kept - 1, 0, -1):
            if os.path.exists(f"{self.path}.{number}"):
                os.replace(f"{self.path}.{number}", f"{self.path}.{number + 1}")
        os.replace(self.path, f"{self.path}.1")
        self._open()
