"""dmsinit's own log lines: `<RFC 3339 time> LEVEL <program>: text` on standard error, or JSON objects.

Writing never blocks and never raises: a container engine that stops reading must not stop PID 1, so a line that does
not fit into the pipe at once is dropped and counted, and the count is told with the next line that fits.
"""

import json
import os
import select
import time
from collections.abc import Callable
from typing import Final

from dmsinit.base.literal import clean

LEVELS: Final = ("error", "warn", "info", "debug", "trace")


def timestamp(now: float | None = None) -> str:
    """Return a time (seconds since the epoch; default: now) as RFC 3339 with the local offset, in whole seconds."""
    local = time.localtime(now)
    return time.strftime("%Y-%m-%dT%H:%M:%S", local) + _offset(local.tm_gmtoff)


def _offset(seconds: int) -> str:
    sign = "-" if seconds < 0 else "+"
    hours, minutes = divmod(abs(seconds) // 60, 60)
    return f"{sign}{hours:02}:{minutes:02}"


_SURELY_TAKEN_BYTES: Final = 4096
"""What poll(2) says there is room for: PIPE_BUF (pipe(7)), and less than any socket has."""


def _own_description(fd: int) -> int | None:
    """Return a non-blocking descriptor for the same pipe or terminal that does not share its flags with children.

    O_NONBLOCK belongs to the open file description, which children inherit; only a fresh one may be made non-blocking.
    None for what cannot be opened again: sockets (systemd's journal, for one), and everything in some sandboxes.
    """
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return None


def _write_shared(fd: int, data: bytes) -> int:
    """Write as much to a descriptor that may block as it takes at once; raise BlockingIOError when that is nothing."""
    written = 0
    ready = select.poll()
    ready.register(fd, select.POLLOUT)
    while written < len(data) and any(event & select.POLLOUT for _, event in ready.poll(0)):
        written += os.write(fd, data[written : written + _SURELY_TAKEN_BYTES])
    if not written:
        raise BlockingIOError
    return written


class Log:
    """A destination for log lines with a threshold; `program` names who speaks."""

    def __init__(self, program: str, *, level: str = "info", json_lines: bool = False, fd: int = 2) -> None:
        self.program = program
        self.json_lines = json_lines
        self.dropped = 0
        own = _own_description(fd)
        self._shared, self._fd = own is None, fd if own is None else own
        self._copy: Callable[[bytes], None] | None = None
        self._copy_threshold = -1
        self.set_level(level)

    def set_level(self, level: str) -> None:
        """Set the threshold to one of LEVELS; anything else counts as `info`."""
        self._threshold = LEVELS.index(level) if level in LEVELS else LEVELS.index("info")

    def copy_to(self, write: Callable[[bytes], None], level: str) -> None:
        """Give the lines of a threshold of their own to `write` as well, which must not fail either."""
        self._copy = write
        self._copy_threshold = LEVELS.index(level) if level in LEVELS else 0

    def shows(self, level: str) -> bool:
        """Return whether lines of this level are written."""
        return LEVELS.index(level) <= self._threshold

    def error(self, text: str) -> None:
        self._write(0, text)

    def warn(self, text: str) -> None:
        self._write(1, text)

    def info(self, text: str) -> None:
        self._write(2, text)

    def debug(self, text: str) -> None:
        self._write(3, text)

    def trace(self, text: str) -> None:
        self._write(4, text)

    def _write(self, level: int, text: str) -> None:
        if self._copy is not None and level <= self._copy_threshold:
            self._copy(self._format(LEVELS[level], text).encode("utf-8", "replace"))
        if level > self._threshold:
            return
        if self.dropped:
            text += f" ({self.dropped} lines before this one were lost: the log was not read)"
        try:
            data = self._format(LEVELS[level], text).encode("utf-8", "replace")
            written = _write_shared(self._fd, data) if self._shared else os.write(self._fd, data)
        except OSError:
            written = 0
        self.dropped = 0 if written else self.dropped + 1

    def _format(self, level: str, text: str) -> str:
        if self.json_lines:
            record = {"time": timestamp(), "level": level, "program": self.program, "message": text}
            return json.dumps(record, ensure_ascii=False) + "\n"
        return "".join(
            f"{timestamp()} {level.upper():5} {self.program}: {line}\n" for line in text.splitlines() or [""]
        )


def from_environment(program: str) -> Log:
    """Return a log for a process whose environment holds LOG_LEVEL and LOG_FORMAT, wherever settings are not read."""
    json_lines = clean(os.environ.get("LOG_FORMAT", "")).text.lower() == "json"
    return Log(program, level=clean(os.environ.get("LOG_LEVEL", "info")).text.lower(), json_lines=json_lines)
