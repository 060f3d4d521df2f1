"""What a signal would do to a process, as the kernel tells it (proc_pid_status(5)).

Contract: masks of other processes are read from /proc/PID/status, which any user may read; nothing is cached. A process
that has ended catches nothing and would not be killed. A program that executes itself anew, as some daemons do to
reload, has the default dispositions until it has installed its handlers again: a signal kills it then.
"""

import os
import signal
from typing import Final

_STATUS_BYTES: Final = 8192
_HARMLESS: Final = frozenset({signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH, signal.SIGCONT})
"""Signals that are ignored by default (signal(7))."""


def would_kill(pid: int, number: int) -> bool:
    """Return whether a signal would have its default effect on a process that lives: nothing there expects it."""
    masks = _masks(pid)
    if masks is None or number in _HARMLESS:
        return False
    return not any(masks.get(name, 0) >> (number - 1) & 1 for name in ("SigCgt", "SigIgn", "SigBlk"))


def is_pending(pid: int, number: int) -> bool:
    """Return whether a signal was sent to a process and is not delivered yet: it is suspended, or has no time."""
    masks = _masks(pid) or {}
    return any(masks.get(name, 0) >> (number - 1) & 1 for name in ("SigPnd", "ShdPnd"))


def _masks(pid: int) -> dict[str, int] | None:
    """Return the signal masks of a process by their names, or None when there is no such process."""
    try:
        fd = os.open(f"/proc/{pid}/status", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        lines = os.read(fd, _STATUS_BYTES).decode("ascii", "replace").splitlines()
    except OSError:  # it ended meanwhile
        return None
    finally:
        os.close(fd)
    fields = (line.partition(":\t") for line in lines if line.startswith(("Sig", "ShdPnd")))
    return {name: int(value, 16) for name, _, value in fields if name != "SigQ"}
