"""What a service writes on its standard output and error: line by line into a bounded ring and a rotated file.

PID 1 reads a bounded amount per turn of the event loop, so a service that floods fills its own pipe and waits, and
neither blocks nor grows PID 1. A full disk loses lines of the file, never of the ring, and never stops a service.
"""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

RING_LINES: Final = 500
LINE_BYTES: Final = 4096
"""A longer line is cut: the ring of one service stays below 2 MiB whatever it writes."""
_READ_BYTES: Final = 65536
_FILE_BYTES: Final = 10 * 1024 * 1024
_FILES_KEPT: Final = 3
_FOLLOWER_LINES: Final = 1000
"""Lines that a slow follower may lag behind before it loses some."""


class LogFile:
    """An append-only file that is renamed to NAME.1 … when it has grown to `limit_bytes`."""

    def __init__(self, path: str, *, limit_bytes: int = _FILE_BYTES, kept: int = _FILES_KEPT) -> None:
        self.path = path
        self._limit = limit_bytes
        self._kept = kept
        self._fd = -1
        self._size = 0

    def write(self, data: bytes) -> None:
        """Append; what cannot be written (no space, no directory) is lost silently: the ring still has it."""
        try:
            if self._fd < 0 or not os.path.exists(self.path):  # somebody may have deleted or rotated it
                self._open()
            if self._size >= self._limit:
                self._rotate()
            self._size += os.write(self._fd, data)
        except OSError:
            self.close()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

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


class Output:
    """The output of one service over all its lives."""

    def __init__(self, file: LogFile | None) -> None:
        self.ring: deque[str] = deque(maxlen=RING_LINES)
        self.bytes_read = 0
        self._lines = 0
        self._lines_before_life = 0
        self._file = file
        self._partial = b""
        self._followers: set[asyncio.Queue[str]] = set()
        self._reading: set[int] = set()

    def open_pipe(self) -> int:
        """Return the writing end of a new pipe whose lines come here; the caller closes it after the spawn."""
        reading, writing = os.pipe2(os.O_CLOEXEC)
        self.attach(reading)
        self._lines_before_life = self._lines
        return writing

    def attach(self, reading: int) -> None:
        """Read lines from the reading end of a pipe until its writers are gone."""
        os.set_blocking(reading, False)
        os.set_inheritable(reading, False)
        self._reading.add(reading)
        asyncio.get_running_loop().add_reader(reading, self._readable, reading)

    def detach(self) -> list[int]:
        """Stop reading, and return the pipes, still open, for whoever reads on."""
        pipes = sorted(self._reading)
        for fd in pipes:
            asyncio.get_running_loop().remove_reader(fd)
        self._reading.clear()
        return pipes

    def note(self, line: str) -> None:
        """Add a line of our own, such as how the process ended."""
        self._take((line + "\n").encode())

    def tail(self, lines: int) -> list[str]:
        """Return the last lines, at most RING_LINES of them."""
        return list(self.ring)[-lines:] if lines > 0 else []

    def last_words(self, lines: int) -> list[str]:
        """Return the last lines, at most `lines`, of what was written since the last `open_pipe`."""
        return self.tail(min(lines, self._lines - self._lines_before_life))

    async def follow(self, lines: int) -> AsyncIterator[str]:
        """Yield the last `lines` lines, then new ones for ever; a follower that is too slow loses the oldest."""
        queue: asyncio.Queue[str] = asyncio.Queue(_FOLLOWER_LINES)
        self._followers.add(queue)
        try:
            for line in self.tail(lines):
                yield line
            while True:
                yield await queue.get()
        finally:
            self._followers.discard(queue)

    def drain(self) -> None:
        """Read what the pipes hold right now: called when a process ended, so that its last words are kept."""
        for fd in tuple(self._reading):
            self._readable(fd)

    def close(self) -> None:
        """Stop reading; processes that still write get SIGPIPE."""
        for fd in tuple(self._reading):
            self._close_pipe(fd)
        if self._file is not None:
            self._file.close()

    def _readable(self, fd: int) -> None:
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.bytes_read += len(data)
            self._take(data)
        else:
            self._close_pipe(fd)

    def _close_pipe(self, fd: int) -> None:
        asyncio.get_running_loop().remove_reader(fd)
        self._reading.discard(fd)
        os.close(fd)

    def _take(self, data: bytes) -> None:
        if self._file is not None:
            self._file.write(data)
        pieces = (self._partial + data).split(b"\n")
        self._partial = pieces.pop()[:LINE_BYTES]
        for piece in pieces[-RING_LINES:]:
            line = piece[:LINE_BYTES].decode("utf-8", "replace").rstrip("\r")
            self.ring.append(line)
            self._lines += 1
            for follower in self._followers:
                if follower.full():
                    follower.get_nowait()
                follower.put_nowait(line)
