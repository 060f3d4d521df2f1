"""What a service writes on its standard output and error: line by line into a bounded ring and a rotated file.

Contract:
- PID 1 reads a bounded amount per turn of the event loop and, after a burst, `_BYTES_PER_SECOND` of each service: one
  that writes more fills its own pipe and waits there. It neither blocks nor grows PID 1, and costs it a few percent
  of a processor; no line is lost by that, and a line of ours says that the service is slowed down.
- The ring holds the last RING_LINES lines, each cut at LINE_BYTES; bytes that are not UTF-8 are replaced.
- A follower that is too slow is told how many lines it has missed. A full disk loses lines of the file only, and the
  file says so when it can (dmsinit/base/logfile.py).
"""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Final

from dmsinit.base.logfile import LogFile

RING_LINES: Final = 500
LINE_BYTES: Final = 4096
"""A longer line is cut: the ring of one service stays below 2 MiB whatever it writes."""
_READ_BYTES: Final = 65536
_BYTES_PER_SECOND: Final = 4 * 1024 * 1024
"""More than a mail server logs in its worst hour, little enough to cost PID 1 next to nothing."""
_BURST_BYTES: Final = 4 * 1024 * 1024
_SHORTEST_PAUSE_SECONDS: Final = 0.05
"""A reader that pauses pauses for a while: a flood wakes PID 1 twenty times a second, not a thousand times."""
_DRAIN_READS: Final = 16
"""A pipe holds 64 KiB by default, and 1 MiB at most (pipe(7))."""
_FOLLOWER_LINES: Final = 1000
"""Lines that a slow follower may lag behind before it loses some."""


class _Follower:
    """Somebody who reads along; `missed` lines were dropped since it was told last."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[str] = asyncio.Queue(_FOLLOWER_LINES)
        self.missed = 0

    def offer(self, lines: Sequence[str]) -> None:
        for line in lines:
            if self.queue.full():
                self.queue.get_nowait()
                self.missed += 1
            self.queue.put_nowait(line)

    def tell_missed(self) -> str:
        missed, self.missed = self.missed, 0
        return f"[dmsinit] {missed} lines are left out here: they came faster than they were read"


class Output:
    """The output of one service over all its lives."""

    def __init__(self, file: LogFile | None, name: str = "it") -> None:
        self.ring: deque[str] = deque(maxlen=RING_LINES)
        self.bytes_read = 0
        self._name = name
        self._lines = 0
        self._lines_before_life = 0
        self._file = file
        self._followers: set[_Follower] = set()
        self._partial: dict[int, bytes] = {}
        """The reading end of each open pipe, and what has come of a line that is not complete yet."""
        self._paused: dict[int, asyncio.TimerHandle] = {}
        self._allowance = float(_BURST_BYTES)
        self._counted_at = 0.0
        self._slowed = False
        self._remark = b""
        """A line of ours that waits for the end of one of theirs."""

    # Pipes

    def begin_life(self) -> None:
        """What comes from now on are the words of a new process of the service; its file is there before the first."""
        self._lines_before_life = self._lines
        self._slowed = False
        if self._file is not None:
            self._file.write(b"")

    def open_pipe(self) -> int:
        """Return the writing end of a new pipe whose lines come here; the caller closes it after the spawn."""
        reading, writing = os.pipe2(os.O_CLOEXEC)
        self.attach(reading)
        return writing

    def attach(self, reading: int) -> None:
        """Read lines from the reading end of a pipe until its writers are gone."""
        os.set_blocking(reading, False)
        os.set_inheritable(reading, False)
        self._partial[reading] = b""
        asyncio.get_running_loop().add_reader(reading, self._readable, reading)

    def detach(self) -> list[int]:
        """Stop reading, and return the pipes, still open, for whoever reads on."""
        self._end_lines()
        pipes = sorted(self._partial)
        for fd in pipes:
            self._forget(fd)
        return pipes

    def drain(self) -> None:
        """Read what the pipes hold right now: called when a process ended, so that its last words are kept."""
        for fd in tuple(self._partial):
            for _ in range(_DRAIN_READS):
                if not self._read(fd):
                    break
        self._end_lines()

    def close(self) -> None:
        """Stop reading; processes that still write get SIGPIPE."""
        for fd in tuple(self._partial):
            self._close_pipe(fd)
        if self._file is not None:
            self._file.close()

    # Lines

    def note(self, line: str) -> None:
        """Add a line of our own, such as how the process ended."""
        self._end_lines()
        if self._file is not None:
            self._file.write(line.encode() + b"\n")
        self._add([line])

    @property
    def bytes_lost(self) -> int:
        """How much the log file could not take."""
        return self._file.bytes_lost if self._file is not None else 0

    def tail(self, lines: int) -> list[str]:
        """Return the last lines, at most RING_LINES of them."""
        return list(self.ring)[-lines:] if lines > 0 else []

    def last_words(self, lines: int) -> list[str]:
        """Return the last lines, at most `lines`, of what was written since `begin_life`."""
        return self.tail(min(lines, self._lines - self._lines_before_life))

    async def follow(self, lines: int) -> AsyncIterator[str]:
        """Yield the last `lines` lines, then new ones for ever; a follower that is too slow loses the oldest."""
        follower = _Follower()
        self._followers.add(follower)
        try:
            for line in self.tail(lines):
                yield line
            while True:
                line = await follower.queue.get()
                if follower.missed:
                    yield follower.tell_missed()
                yield line
        finally:
            self._followers.discard(follower)

    # Reading

    def _readable(self, fd: int) -> None:
        if self._read(fd) and (pause := self._pause_seconds()):
            loop = asyncio.get_running_loop()
            loop.remove_reader(fd)
            self._paused[fd] = loop.call_later(pause, self._resume, fd)
            if not self._slowed:
                self._slowed = True
                rate = _BYTES_PER_SECOND // 1024 // 1024
                told = f"[dmsinit] {self._name} writes more than {rate} MiB a second here and is slowed down to it"
                self._remark = told.encode()

    def _resume(self, fd: int) -> None:
        del self._paused[fd]
        asyncio.get_running_loop().add_reader(fd, self._readable, fd)

    def _pause_seconds(self) -> float:
        """Return for how long to leave the pipe alone, 0 while the allowance lasts."""
        now = asyncio.get_running_loop().time()
        earned = (now - self._counted_at) * _BYTES_PER_SECOND
        self._allowance, self._counted_at = min(self._allowance + earned, _BURST_BYTES), now
        if self._allowance > 0:
            return 0.0
        return max(-self._allowance / _BYTES_PER_SECOND, _SHORTEST_PAUSE_SECONDS)

    def _read(self, fd: int) -> bool:
        """Take one piece; return whether there was one. A pipe without writers is closed."""
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._close_pipe(fd)
            return False
        self.bytes_read += len(data)
        self._allowance -= len(data)
        if self._remark and b"\n" in data:
            data = data.replace(b"\n", b"\n%s\n" % self._remark, 1)
            self._remark = b""
        if self._file is not None:
            self._file.write(data)
        pieces = (self._partial[fd] + data).split(b"\n")
        self._partial[fd] = pieces.pop()[:LINE_BYTES]
        self._lines += max(0, len(pieces) - RING_LINES)
        for follower in self._followers:
            follower.missed += max(0, len(pieces) - RING_LINES)
        self._add([_text(piece) for piece in pieces[-RING_LINES:]])
        return True

    def _add(self, lines: Sequence[str]) -> None:
        self.ring.extend(lines)
        self._lines += len(lines)
        for follower in self._followers:
            follower.offer(lines)

    def _end_lines(self) -> None:
        """Take what stands without an end of line as a line: nobody will end it."""
        for fd in self._partial:
            self._end_line(fd)

    def _end_line(self, fd: int) -> None:
        if self._partial[fd]:
            if self._file is not None:
                self._file.write(b"\n")
            self._add([_text(self._partial[fd])])
            self._partial[fd] = b""

    def _close_pipe(self, fd: int) -> None:
        self._end_line(fd)
        self._forget(fd)
        os.close(fd)

    def _forget(self, fd: int) -> None:
        if fd in self._paused:
            self._paused.pop(fd).cancel()
        asyncio.get_running_loop().remove_reader(fd)
        del self._partial[fd]


def _text(line: bytes) -> str:
    return line[:LINE_BYTES].decode("utf-8", "replace").rstrip("\r")
