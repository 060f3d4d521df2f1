"""How long a process has run, or wanted to run, as the kernel tells it.

Contract: reads /proc of other processes, which any user may; a process that has ended has done nothing. Seconds since
the process began, all its threads together.
"""

import os
from contextlib import suppress
from typing import Final

_TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
_NANOSECONDS: Final = 1e-9


def busy_seconds(pid: int) -> float:
    """Return for how long a process had a processor (/proc/PID/stat) or its threads waited for one (schedstat).

    A process that gets no processor on a crowded machine is at work, too. See proc_pid_stat(5), and
    Documentation/scheduler/sched-stats.rst; a kernel without the latter tells of the former only.
    """
    stat = _read(f"/proc/{pid}/stat")
    fields = stat[stat.rfind(b")") + 2 :].split()
    ran = (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND if len(fields) > 12 else 0.0
    return ran + _waited_nanoseconds(pid) * _NANOSECONDS


def _waited_nanoseconds(pid: int) -> int:
    total = 0
    with suppress(OSError):  # it ended
        for thread in os.listdir(f"/proc/{pid}/task"):
            fields = _read(f"/proc/{pid}/task/{thread}/schedstat").split()
            total += int(fields[1]) if len(fields) > 1 else 0
    return total


def _read(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, 1024)
    except OSError:
        return b""
    finally:
        os.close(fd)
