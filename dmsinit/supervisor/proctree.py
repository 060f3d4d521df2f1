"""Which processes belong to a service: its tree, not one pid.

Daemons leave their session (`postfix start-fg`, fail2ban, amavis) and outlive their parent when that is killed. A
process belongs to a service when any of these holds:
- it is the main process, or descends from it;
- its session is one that the service is known to have (sessions cannot be recycled while a member lives);
- it was given to PID 1 as an orphan and its environment at exec carries the service's marker.
Limits: a daemon that at once leaves its session, loses its parent *and* clears its environment before the service was
ever looked at is not found.
"""

import os
from collections.abc import Collection, Iterable
from typing import NamedTuple

from dmsinit.supervisor.command import MARKER
from dmsinit.supervisor.reserve import RESERVE


class Process(NamedTuple):
    """A line of /proc: identities of one process; `started` (clock ticks since boot) tells a recycled pid apart.

    `name` is what the kernel calls it, at most 15 characters (proc_pid_comm(5)).
    """

    pid: int
    parent: int
    group: int
    session: int
    started: int
    state: str
    name: str = ""


def read_process(pid: int) -> Process | None:
    """Return what /proc/PID/stat says (proc_pid_stat(5)), or None when there is no such process."""
    data = _read(pid, "stat", 1024)
    if data is None:
        return None
    end = data.rindex(b")")
    fields = data[end + 2 :].split()
    name = data[data.index(b"(") + 1 : end].decode("latin-1")
    return Process(pid, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]), fields[0].decode(), name)


class Snapshot:
    """Processes as they are at one moment, zombies left out: all that can be seen, to be looked at for many services.

    `around` sees only what may belong to one service.
    """

    def __init__(self, pids: Iterable[int] | None = None) -> None:
        with RESERVE.lent():
            chosen = all_pids() if pids is None else pids
            seen = [read_process(pid) for pid in chosen]
        self.processes = {one.pid: one for one in seen if one is not None and one.state not in "ZX"}
        self.children: dict[int, list[Process]] = {}
        for process in self.processes.values():
            self.children.setdefault(process.parent, []).append(process)
        self._markers: dict[int, str | None] = {}

    def marker(self, pid: int) -> str | None:
        """Return the name of the service that the environment of `pid` at exec carries, or None."""
        if pid not in self._markers:
            with RESERVE.lent():
                self._markers[pid] = read_marker(pid)
        return self._markers[pid]


def around(*, main: int | None, others: Collection[int], reaper: int) -> Snapshot:
    """Return what is below `main` and below the orphans: the children of `reaper` that are none of `others`.

    Every process of a service is there, and the look costs what these are, however many services there are. Lists of
    children may be wrong when they change while they are read (proc_tid_children(5)), but the reaper's own is right:
    nobody else takes one out of it. Where the kernel has no such lists, this is a Snapshot of everything.
    """
    try:
        with RESERVE.lent():
            pids = [pid for pid in children_of(reaper) if pid == main or pid not in others]
            for pid in pids:  # grows meanwhile
                pids += children_of(pid)
    except FileNotFoundError:
        return Snapshot()
    return Snapshot(pids)


def all_pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def children_of(pid: int) -> list[int]:
    """Return the children of all threads of a process, none when it has ended; FileNotFoundError without such lists."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    found: list[int] = []
    for thread in threads:
        try:
            fd = os.open(f"/proc/{pid}/task/{thread}/children", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            if os.path.exists(f"/proc/{pid}/task/{thread}"):
                raise
            continue
        except OSError:
            continue
        try:
            text = b""
            while part := os.read(fd, 65536):
                text += part
        except OSError:  # the thread ended meanwhile
            continue
        finally:
            os.close(fd)
        found += map(int, text.split())
    return found


def members(
    snapshot: Snapshot, *, name: str, main: int | None, sessions: Collection[int], reaper: int
) -> list[Process]:
    """Return the processes of the service `name`; `reaper` is the pid that inherits orphans."""
    found = {p.pid: p for p in snapshot.processes.values() if p.session in sessions and p.pid != reaper}
    if main is not None and main in snapshot.processes:
        found[main] = snapshot.processes[main]
    for orphan in snapshot.children.get(reaper, ()):
        if orphan.pid not in found and snapshot.marker(orphan.pid) == name:
            found[orphan.pid] = orphan
    queue = list(found)
    while queue:
        for process in snapshot.children.get(queue.pop(), ()):
            if process.pid not in found:
                found[process.pid] = process
                queue.append(process.pid)
    return list(found.values())


def read_marker(pid: int) -> str | None:
    """Return the marker in the environment that `pid` was executed with (proc_pid_environ(5)), or None."""
    data = _read(pid, "environ", 65536)
    if data is None:
        return None
    prefix = f"{MARKER}=".encode()
    return next((item[len(prefix) :].decode() for item in data.split(b"\0") if item.startswith(prefix)), None)


def user_ids(pid: int) -> set[int]:
    """Return the users whose rights a process has: real, effective, saved, file system (proc_pid_status(5))."""
    for line in (_read(pid, "status", 4096) or b"").splitlines():
        if line.startswith(b"Uid:"):
            return {int(number) for number in line.split()[1:]}
    return set()


def _read(pid: int, name: str, size: int) -> bytes | None:
    """Return the beginning of a file in /proc/PID, or None when there is no such process."""
    try:
        fd = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(fd, size)
    except OSError:
        return None
    finally:
        os.close(fd)
