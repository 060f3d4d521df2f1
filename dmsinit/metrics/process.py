"""What the processes of a service use: CPU, memory, descriptors, from /proc (proc(5)).

A process that ends while it is looked at counts as nothing. PID 1 of a usual container may not read smaps_rollup of
other users' processes (that needs CAP_SYS_PTRACE): their PSS is unknown, and never guessed.
"""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
_READ_BYTES: Final = 8192
PSS_BUDGET_SECONDS: Final = 0.008
"""The kernel walks a process's page tables for its PSS (1 GiB: about 10 ms), so a scrape stops asking after this."""

_NEVER: Final[tuple[float, int | None]] = (-1.0, None)


class Usage(NamedTuple):
    """One process, or the sum of many; memory in bytes. `pss` is None where a part of it may not be read."""

    cpu_seconds: float = 0.0
    rss: int = 0
    swap: int = 0
    pss: int | None = 0
    processes: int = 0
    fds: int = 0


class Pss:
    """Proportional set sizes, at most PSS_BUDGET_SECONDS of reading at a time; what is older is read first."""

    def __init__(self, *, budget_seconds: float = PSS_BUDGET_SECONDS) -> None:
        self._budget_seconds = budget_seconds
        self._known: dict[int, tuple[float, int | None]] = {}

    def refresh(self, pids: Iterable[int]) -> None:
        """Read as many as the budget allows, and forget those that are not in `pids`."""
        wanted = set(pids)
        for pid in self._known.keys() - wanted:
            del self._known[pid]
        deadline = time.monotonic() + self._budget_seconds
        for pid in sorted(wanted, key=lambda pid: self._known.get(pid, _NEVER)[0]):
            now = time.monotonic()
            if now >= deadline:
                return
            self._known[pid] = (now, _kib_fields(pid, "smaps_rollup").get(b"Pss"))

    def of(self, pid: int) -> int | None:
        """Return the last value read; None when it is not known."""
        return self._known.get(pid, _NEVER)[1]


def usage(pids: Sequence[int], pss: Pss) -> Usage:
    """Return what processes use together."""
    cpu, rss, swap, fds, processes = 0.0, 0, 0, 0, 0
    proportional: int | None = 0
    for pid in pids:
        seconds = _cpu_seconds(pid)
        if seconds is None:
            continue
        memory = _kib_fields(pid, "status")
        cpu += seconds
        rss += memory.get(b"VmRSS", 0)
        swap += memory.get(b"VmSwap", 0)
        fds += _descriptors(pid)
        processes += 1
        part = pss.of(pid)
        proportional = None if part is None or proportional is None else proportional + part
    return Usage(cpu, rss, swap, proportional, processes, fds)


class CpuCounters:
    """CPU seconds of each service as counters that never fall, though its processes come and go."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._total: dict[str, float] = {}

    def advance(self, current: Mapping[str, float]) -> Mapping[str, float]:
        """Take the present sums over the living processes, and return the totals.

        A sum below the last one means that processes have gone: what came since then is not known, and not counted.
        """
        for name, seconds in current.items():
            self._total[name] = self._total.get(name, 0.0) + max(0.0, seconds - self._last.get(name, 0.0))
            self._last[name] = seconds
        return self._total


def _cpu_seconds(pid: int) -> float | None:
    """Return user and system time of a process and its waited-for children; None when it has ended."""
    data = _read(f"/proc/{pid}/stat")
    if not data:
        return None
    fields = data[data.rindex(b")") + 2 :].split()
    return sum(map(int, fields[11:15])) / _TICKS_PER_SECOND


def _kib_fields(pid: int, file: str) -> dict[bytes, int]:
    """Return the fields of a /proc file that are given in kB, in bytes."""
    fields = {}
    for line in _read(f"/proc/{pid}/{file}").splitlines():
        if line.endswith(b" kB"):
            name, _, value = line[:-3].partition(b":")
            fields[name] = int(value) * 1024
    return fields


def _descriptors(pid: int) -> int:
    """Return the number of open descriptors: the directory's size since Linux 6.2, its entries before."""
    path = f"/proc/{pid}/fd"
    try:
        return os.stat(path).st_size or len(os.listdir(path))
    except OSError:
        return 0


def _read(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, _READ_BYTES)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
