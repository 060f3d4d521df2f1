"""What the supervisor tells about services: the shapes of the control API's `status` and `events`.

Scripts rely on these names (DESIGN section 6), so a field is added, never renamed.
"""

import msgspec


class Death(msgspec.Struct, kw_only=True):
    """How a process of a service ended: `cause` is a Reason, `detail` a sentence such as `exit code 1`."""

    time: str
    cause: str
    detail: str
    seconds_lived: float
    hint: str = ""
    """What to do about it, where that is known."""


class ServiceStatus(msgspec.Struct, kw_only=True):
    """One service as the control API shows it; all durations in seconds, memory in bytes (RSS of its process tree)."""

    name: str
    description: str
    state: str
    reason: str
    detail: str
    pid: int | None
    uptime_seconds: float | None
    restarts: int
    memory_bytes: int | None
    waiting_for: list[str]
    last_exit: Death | None
    deaths: list[Death]
    since: str
    ready_seconds: float | None
    enabled: bool
    processes: int
    next_run: str | None = None
    """When a periodic service runs again; None while it runs, and for all others."""
    notice: str = ""
    """What the service says of itself by sd_notify (STATUS=)."""


class Applies(msgspec.Struct, kw_only=True):
    """What became of changes of the configuration since the container started.

    `invalid` ones were refused, and changed nothing; `failed` ones were valid, and a service did not take them.
    `in_force` tells whether the last one was carried out, `last_seconds` how long it took.
    """

    success: int = 0
    invalid: int = 0
    failed: int = 0
    last_seconds: float = 0.0
    in_force: bool = True


class Event(msgspec.Struct, kw_only=True):
    """One transition of one service; `from` and `to` are States, `reason` is a Reason."""

    time: str
    service: str
    from_state: str = msgspec.field(name="from")
    to_state: str = msgspec.field(name="to")
    reason: str
    detail: str = ""


class Span(msgspec.Struct, kw_only=True):
    """A stretch of the boot for `dmsctl blame`, in seconds since PID 1 began.

    A phase (settings, render, …) has `began` and `ended` only. A service was `began` waiting, `spawned`, and `ended`
    being ready; `waited_for` is what became ready last before it was spawned.
    """

    name: str
    kind: str
    began: float
    spawned: float | None = None
    ended: float | None = None
    waited_for: str = ""
