"""The life of a service: its states, the reasons for a transition, and which transition is allowed.

        start            ready                    stop
    ┌─► waiting ─► starting ─► ready ⇄ unhealthy ─► stopping ─► stopped
    │                 │  ▲        │ ⇅ busy, reloading
    │                 ▼  │        ▼
    │              backoff ◄── (ended) ─► exited     (ended on purpose, or policy says so)
    └─────────────────┘  └────► failed               (gave up, or cannot be started)

`disabled` services never leave that state while their plan holds. TRANSITIONS is the contract; docs/reference/states.md
shows the same table, and a test keeps the two equal.
"""

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a service stands; the words are systemd's and supervisord's wherever those have one."""

    DISABLED = "disabled"
    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    UNHEALTHY = "unhealthy"
    RELOADING = "reloading"
    STOPPING = "stopping"
    STOPPED = "stopped"
    BACKOFF = "backoff"
    FAILED = "failed"
    EXITED = "exited"


class Reason(StrEnum):
    """Why a transition happened: a closed list, also used as metric label."""

    BOOT = "boot"
    OPERATOR = "operator"
    CONFIG_CHANGED = "config-changed"
    DEPENDENCY = "dependency"
    EXITED = "exited"
    SIGNALLED = "signalled"
    OOM_KILLED = "oom-killed"
    PROBE_FAILED = "probe-failed"
    READY_TIMEOUT = "ready-timeout"
    SHUTDOWN = "shutdown"
    SCHEDULE = "schedule"


_S = State
TRANSITIONS: Final[dict[State, frozenset[State]]] = {
    _S.DISABLED: frozenset({_S.STOPPED}),
    _S.STOPPED: frozenset({_S.WAITING, _S.DISABLED}),
    _S.WAITING: frozenset({_S.STARTING, _S.STOPPED, _S.FAILED}),
    _S.STARTING: frozenset({_S.READY, _S.STOPPING, _S.BACKOFF, _S.EXITED, _S.FAILED}),
    _S.READY: frozenset({_S.BUSY, _S.UNHEALTHY, _S.RELOADING, _S.STOPPING, _S.BACKOFF, _S.EXITED, _S.FAILED}),
    _S.BUSY: frozenset({_S.READY, _S.UNHEALTHY, _S.RELOADING, _S.STOPPING, _S.BACKOFF, _S.EXITED, _S.FAILED}),
    _S.UNHEALTHY: frozenset({_S.READY, _S.BUSY, _S.RELOADING, _S.STOPPING, _S.BACKOFF, _S.EXITED, _S.FAILED}),
    _S.RELOADING: frozenset({_S.READY, _S.BUSY, _S.UNHEALTHY, _S.STOPPING, _S.BACKOFF, _S.EXITED, _S.FAILED}),
    _S.STOPPING: frozenset({_S.STOPPED, _S.BACKOFF, _S.FAILED}),
    _S.BACKOFF: frozenset({_S.WAITING, _S.STOPPED, _S.FAILED}),
    _S.FAILED: frozenset({_S.WAITING, _S.STOPPED, _S.DISABLED}),
    _S.EXITED: frozenset({_S.WAITING, _S.STOPPED, _S.DISABLED}),
}

RUNNING: Final = frozenset({_S.STARTING, _S.READY, _S.BUSY, _S.UNHEALTHY, _S.RELOADING, _S.STOPPING})
"""States in which a process of the service exists."""

ANSWERING: Final = frozenset({_S.READY, _S.BUSY, _S.UNHEALTHY, _S.RELOADING})
"""States in which the service has become ready and is expected to answer."""

COMPLETE: Final = frozenset({_S.READY, _S.BUSY, _S.RELOADING})
"""States in which nothing is missing: one that is at work comes to everybody in turn, and one that reads its files
again goes on answering with what it had."""

AT_REST: Final = frozenset({_S.STOPPED, _S.DISABLED, _S.EXITED, _S.FAILED})
"""States that last until somebody wants something (or, for a periodic service, until its next run)."""


class TransitionError(Exception):
    """A transition that the table does not allow: a defect of the supervisor, never of a service."""


def check(service: str, old: State, new: State) -> None:
    """Raise TransitionError unless `old` → `new` is in the table."""
    if new not in TRANSITIONS[old]:
        raise TransitionError(f"{service}: {old} → {new} is not a transition")
