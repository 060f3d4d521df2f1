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
from collections.abc import Collection, Mapping
from typing import NamedTuple

from dmsinit.supervisor.command import MARKER


class Process(NamedTuple):
    """A line of /proc: identities of one process; `started` (clock ticks since boot) tells a recycled pid apart."""

    pid: int
    parent: int
    group: int
    session: int
    started: int
    state: str


def read_process(pid: int) -> Process | None:
    """Return what /proc/PID/stat says (proc_pid_stat(5)), or None when there is no such process."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        data = os.read(fd, 1024)
    except OSError:
        return None
    finally:
        os.close(fd)
    fields = data[data.rindex(b")") + 2 :].split()
    return Process(pid, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]), fields[0].decode())


def snapshot() -> dict[int, Process]:
    """Return all processes that can be seen, zombies left out."""
    processes: dict[int, Process] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            process = read_process(int(entry))
            if process is not None and process.state not in "ZX":
                processes[process.pid] = process
    return processes


def members(
    processes: Mapping[int, Process], *, name: str, main: int | None, sessions: Collection[int], reaper: int
) -> set[int]:
    """Return the pids in `processes` that belong to the service `name`; `reaper` is the pid that inherits orphans."""
    children: dict[int, list[int]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process.pid)
    found = {p.pid for p in processes.values() if p.session in sessions and p.pid != reaper}
    if main is not None and main in processes:
        found.add(main)
    found |= {pid for pid in children.get(reaper, ()) if pid not in found and marked(pid, name)}
    queue = list(found)
    while queue:
        for pid in children.get(queue.pop(), ()):
            if pid not in found:
                found.add(pid)
                queue.append(pid)
    return found


def marked(pid: int, name: str) -> bool:
    """Say whether the environment that `pid` was executed with carries the marker of the service `name`."""
    try:
        fd = os.open(f"/proc/{pid}/environ", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        data = os.read(fd, 65536)
    except OSError:
        return False
    finally:
        os.close(fd)
    return f"{MARKER}={name}".encode() in data.split(b"\0")
