"""Everything that a successor of PID 1 has to know to go on without stopping a daemon.

`dmsctl reexec` replaces the code of PID 1 in place: the processes stay its children, their pipes stay open, and this
record crosses the exec in a memfd. A field is added with a default, never renamed, so that a newer dmsinit understands
an older one; VERSION changes when that is not possible, and then the successor refuses.
"""

import os
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from dmsinit.plan import Plan
from dmsinit.supervisor.states import State
from dmsinit.supervisor.status import Applies, Death, Event, Span

VERSION: Final = 1
MEMFD_NAME: Final = "dmsinit-handover"

SETTLED_ENOUGH: Final = frozenset(State) - {State.STOPPING, State.RELOADING}
"""States that can be handed over; the others pass within seconds."""


class UnitState(msgspec.Struct, kw_only=True):
    """One service. Times are of the monotonic clock, which goes on across an exec; `pipes` are open descriptors."""

    name: str
    state: str
    reason: str
    detail: str
    since: float
    wanted: bool
    pid: int | None
    spawned_at: float
    ready_at: float | None
    ready_seconds: float | None
    starts: int
    restarts: int
    deaths: list[Death]
    sessions: list[int]
    lines: list[str]
    pipes: list[int]
    span: Span
    why: str = ""
    """The reason for which it is wanted as it is; one that predates this field is taken from `reason`."""


class Handover(msgspec.Struct, kw_only=True):
    """The whole of PID 1."""

    version: int
    executions: int
    plan: Plan
    began: float
    fqdn: str
    state: str
    up: bool
    phases: list[Span]
    units: list[UnitState]
    events: list[Event]
    counts: list[tuple[str, str, str, int]]
    applies: Applies = msgspec.field(default_factory=Applies)
    problems: list[str] = []
    boot_ended: float | None = None


class Incompatible(Exception):
    """The record was written by a dmsinit whose successor we cannot be."""


def write(handover: Handover) -> int:
    """Write the record into a memfd that survives an exec; return its descriptor."""
    fd = os.memfd_create(MEMFD_NAME, 0)
    data = memoryview(msgspec.json.encode(handover))
    while data:
        data = data[os.write(fd, data) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def read(fd: int) -> Handover:
    """Return the record in `fd`, which is left open; raise Incompatible when it is not for us."""
    data = os.pread(fd, os.fstat(fd).st_size, 0)
    try:
        found: Any = msgspec.json.decode(data)
        if not isinstance(found, dict) or found.get("version") != VERSION:
            raise Incompatible(f"the handover has version {found.get('version')}, this dmsinit understands {VERSION}")
        return msgspec.convert(found, Handover)
    except msgspec.MsgspecError as error:
        raise Incompatible(f"the handover cannot be understood: {error}") from None


def keep_open(descriptors: Sequence[int]) -> None:
    """Let descriptors survive the exec that follows."""
    for fd in descriptors:
        os.set_inheritable(fd, True)
