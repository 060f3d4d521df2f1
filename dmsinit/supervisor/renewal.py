"""Has a daemon replaced its children? That shows that a new configuration is in force.

A daemon that reads its files again goes on answering with what it had, from the processes that it had, until new ones
take their place. `[reload] renews` names them as the kernel does (proc_pid_comm(5)): Postfix starts a new qmgr, Dovecot
a new log, Amavis and Rspamd new workers. With `keeps_old` (Dovecot) the old ones stay as long as their clients do.

Contract: made before the daemon is told to reload; `done` looks once, at the direct children of its main process.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

from dmsinit.supervisor.proctree import Process, Snapshot, children_of, read_process

SETTLED_SECONDS: Final = 2.0
"""A new child that is this old does the work, although an old one has still to end what it was at. Programs that a
daemon runs while it starts, to see what there is, end sooner. It counts only when the daemon is seen to have begun: it
has executed itself anew, or half of the old children are gone. One under load starts more children at any time."""


class Renewal:
    """The children of `main` whose names match one of `names`, as they were when this was made."""

    def __init__(self, main: int, names: Sequence[str], *, keeps_old: bool = False) -> None:
        self._main = main
        self._names = names
        self._keeps_old = keeps_old
        self._old: dict[int, bool] = {}
        self._seen: dict[int, float] = {}
        self._name = _name(main)
        self._began = self._anew = False
        if names:
            self._old = {process.pid: self._is_meant(process) for process in _children(main)}

    def done(self, now: float) -> bool:
        """Return whether new ones have taken their place; `now` is any monotonic clock."""
        if not self._names:
            return True
        pids = _pids(self._main)
        if not self._anew and _name(self._main) != self._name:  # until it gives itself its own name again
            self._anew = self._began = True
            self._old = {pid: self._is_meant(read_process(pid)) for pid in pids}  # one under load had started more
        new = [pid for pid in pids if pid not in self._old and self._is_meant(read_process(pid))]
        self._seen = {pid: self._seen.get(pid, now) for pid in new}
        if not new or self._keeps_old:
            return bool(new)
        left = [pid for pid in pids if self._old.get(pid, False) and self._is_meant(read_process(pid))]
        if 2 * len(left) <= sum(self._old.values()):
            self._began = True
        return not left or (self._began and now - min(self._seen.values()) >= SETTLED_SECONDS)

    def _is_meant(self, process: Process | None) -> bool:
        return (
            process is not None
            and process.state not in "ZX"
            and any(fnmatchcase(process.name, name) for name in self._names)
        )


def _name(pid: int) -> str:
    process = read_process(pid)
    return process.name if process is not None else ""


def _pids(main: int) -> list[int]:
    try:
        return children_of(main)
    except FileNotFoundError:  # this kernel has no lists of children
        return [process.pid for process in Snapshot().children.get(main, ())]


def _children(main: int) -> list[Process]:
    return [process for process in map(read_process, _pids(main)) if process is not None]
