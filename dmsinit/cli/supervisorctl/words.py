"""The words and columns of supervisord 4.2, for services of ours; functions of what the control API answered."""

import time
from typing import Any, Final

NAME_COLUMNS: Final = 30

STATES: Final = {
    # ours: (supervisord's, can be stopped)
    "disabled": ("STOPPED", False),
    "stopped": ("STOPPED", False),
    "waiting": ("STARTING", True),
    "starting": ("STARTING", True),
    "ready": ("RUNNING", True),
    "busy": ("RUNNING", True),
    "unhealthy": ("RUNNING", True),
    "reloading": ("RUNNING", True),
    "stopping": ("STOPPING", True),
    "backoff": ("BACKOFF", True),
    "failed": ("FATAL", False),
    "exited": ("EXITED", False),
}
"""The table that maps the states of a service to supervisord's (supervisord.org/subprocess.html)."""

RUNNING: Final = frozenset({"RUNNING", "STARTING", "BACKOFF"})
"""supervisord's RUNNING_STATES: `status` exits 0 when all are in one of them."""


def state_of(one: dict[str, Any]) -> str:
    """Return supervisord's word for where a service stands; UNKNOWN for a state that is not in the table."""
    return STATES.get(one["state"], ("UNKNOWN", False))[0]


def can_stop(one: dict[str, Any]) -> bool:
    """Say whether `stop` means anything; else supervisord says `not running`."""
    return STATES.get(one["state"], ("UNKNOWN", False))[1]


def line(one: dict[str, Any], width: int = NAME_COLUMNS) -> str:
    """Return a service as `status` shows it."""
    return f"{one['name']:{width}}   {state_of(one):10}{_description(one)}"


def _description(one: dict[str, Any]) -> str:
    state = state_of(one)
    if state == "RUNNING":
        return f"pid {one['pid']}, uptime {uptime(one['uptime_seconds'] or 0.0)}"
    if state in ("FATAL", "BACKOFF"):
        return one["detail"] or "Exited too quickly (process log may have details)"
    if state in ("STOPPED", "EXITED"):
        return moment(one["since"]) if one["deaths"] else "Not started"
    return ""


def uptime(seconds: float) -> str:
    """Return a span as str(timedelta) does: `H:MM:SS`, with `N days, ` in front of it where there are any."""
    days, rest = divmod(int(seconds), 86400)
    clock = f"{rest // 3600}:{rest % 3600 // 60:02}:{rest % 60:02}"
    return f"{days} day{'s' if days > 1 else ''}, {clock}" if days else clock


def moment(timestamp: str) -> str:
    """Return an RFC 3339 time as supervisord writes it; as it is, where it has another form."""
    try:
        return time.strftime("%b %d %I:%M %p", time.strptime(timestamp[:19], "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return timestamp
