"""Does the service itself answer its probe, or somebody else who listens at the same address?

Contract: `starts` before its process is started, `problem` after an answer. An answer is somebody else's when
- the socket listened already before the service was started; or
- it is one that another service was found to have; or
- another user has opened it than those whose rights the processes of the service have; or
- the process that listens at a Unix socket (SO_PEERCRED, unix(7)) is none of its tree.
Where nothing of this can be told, the answer is believed. `listener = "any"` in the probe asks for no proof.
"""

from collections.abc import Sequence

from dmsinit.base.sockets import Listener, listeners
from dmsinit.plan import Probe, Service
from dmsinit.probes import ProbeFailed, split_inet
from dmsinit.supervisor.proctree import read_process, user_ids
from dmsinit.supervisor.runtime import Runtime
from dmsinit.supervisor.tree import Tree


class Ownership:
    """The listeners of one service; `runtime.claims` holds those of all."""

    def __init__(self, name: str, runtime: Runtime, tree: Tree) -> None:
        self._name = name
        self._claims = runtime.claims
        self._tree = tree
        self._strangers: frozenset[Listener] = frozenset()
        self._rooted = False

    def starts(self, service: Service) -> None:
        """Note who listens at its addresses already."""
        self._claims.pop(self._name, None)
        self._rooted = not service.user
        probes = [service.ready.probe, *([service.health.probe] if service.health else [])]
        self._strangers = frozenset().union(*(_listeners(probe) or () for probe in probes))

    def problem(self, probe: Probe, peers: Sequence[int]) -> str:
        """Return why the answer to a probe proves nothing about the service, or nothing."""
        if probe.listener == "any":
            return ""
        for pid in peers:
            if problem := self._peer(probe, pid):
                return problem
        found = _listeners(probe)
        if found is None:
            return ""
        if not found:
            return f'{probe.address} is answered from elsewhere; write listener = "any" if that is meant'
        mine = self._claims.setdefault(self._name, set())
        for one in found - mine:
            if problem := self._stranger(one):
                return f"{probe.address} is answered by {problem}"
        self._claims[self._name] = mine | found
        return ""

    def _stranger(self, one: Listener) -> str:
        for other, claimed in self._claims.items():
            if other != self._name and one in claimed:
                return f"{other}"
        if one in self._strangers:
            return f"a process of user {one.uid} that listened there before"
        users = {0} if self._rooted else set()
        for process in self._tree.members():
            users |= user_ids(process.pid)
        return "" if one.uid in users else f"a process of user {one.uid}, which none of its own is"

    def _peer(self, probe: Probe, pid: int) -> str:
        if pid == 0:
            return f"{probe.address} is answered from outside of this container"
        if self._tree.has(pid) or (process := read_process(pid)) is None:
            return ""
        return f"{probe.address} is answered by {process.name} (pid {pid}), which is none of its processes"


def _listeners(probe: Probe) -> frozenset[Listener] | None:
    """Return who gets the connections to the addresses of a probe; None where it has none, or they cannot be told.

    Nothing when at one of them nobody listens.
    """
    address = probe.address.removeprefix("http://").partition("/")[0] if probe.kind == "http" else probe.address
    if probe.kind in ("process", "file", "notify", "unix") or not address or address.startswith(("unix:", "/")):
        return None
    found: set[Listener] = set()
    for one in address.split():
        there = _listeners_at(one.replace("haproxy:", "inet:", 1) if ":" in one else f"{one}:80")
        if not there:
            return there
        found |= there
    return frozenset(found)


def _listeners_at(address: str) -> frozenset[Listener] | None:
    try:
        return listeners(*split_inet(address))
    except ProbeFailed:  # no address
        return None
