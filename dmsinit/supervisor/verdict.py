"""How the end of a process is judged and told.

Contract: pure decisions (`cause`, `wants_restart`), and one effect (`bury`) that notes the death of a process where
people look: the deaths of the service, its log, and ours.
"""

import signal
from typing import Final, NamedTuple

from dmsinit.log import timestamp
from dmsinit.plan import Service
from dmsinit.supervisor import hints
from dmsinit.supervisor.children import Exit
from dmsinit.supervisor.errors import EXCERPT_LINES
from dmsinit.supervisor.oom import OomKills
from dmsinit.supervisor.states import Reason
from dmsinit.supervisor.status import Death
from dmsinit.supervisor.unit import Unit

_KILLED_CODE: Final = 128 + signal.SIGKILL


class Verdict(NamedTuple):
    """Why a process has to go although it lives."""

    reason: Reason
    detail: str


class Ending(NamedTuple):
    """How one life ended; `final` means that another try would not help."""

    reason: Reason
    detail: str
    success: bool
    healthy_seconds: float = 0.0
    final: bool = False


def wants_restart(service: Service, end: Ending) -> bool:
    """Say whether the policy of the service asks for another life after this one."""
    if end.final or (service.type == "oneshot" and end.success):
        return False
    policy = service.restart.policy
    return policy == "always" or (policy == "on-failure" and not end.success)


def is_done(service: Service, end: Ending) -> bool:
    """Say of a service that is not started again whether that was all it had to do; otherwise it has failed."""
    ended_by_itself = end.reason in (Reason.EXITED, Reason.SIGNALLED)
    return end.success or (ended_by_itself and not end.final and service.restart.policy == "never")


def bury(unit: Unit, result: Exit, verdict: Verdict | None, kills_before: int | None) -> Ending:
    """Note how the process of a service ended, and say so where people look."""
    now = unit.runtime.clock()
    lived = now - unit.tree.spawned_at
    healthy = now - unit.ready_at if unit.ready_at is not None else 0.0
    reason, detail = verdict or cause(result, unit.runtime.oom, kills_before)
    unit.tree.output.drain()
    unit.deaths.append(
        Death(
            time=timestamp(),
            cause=reason,
            detail=detail,
            seconds_lived=round(lived, 3),
            hint=_hint(unit, reason, None if verdict else result),
        )
    )
    unit.notices.close()
    success = result.success and verdict is None
    if verdict is None and not (success and unit.service.type == "oneshot"):
        unit.tell_trouble(
            f"{unit.name} ended after {lived:.1f} s: {detail}", f"ended {reason} {detail}", unit.deaths[-1].hint
        )
    unit.tree.output.note(f"[dmsinit] {unit.name} ended: {detail}")
    return Ending(reason, detail, success, healthy)


def _hint(unit: Unit, reason: Reason, result: Exit | None) -> str:
    if reason is Reason.OOM_KILLED:
        return hints.OUT_OF_MEMORY
    if result is not None and result.success:
        return ""
    return hints.hint(unit.tree.output.last_words(EXCERPT_LINES), result)


def cause(result: Exit, oom: OomKills, kills_before: int | None) -> tuple[Reason, str]:
    """Return why a process ended by itself; a shell tells of a killed program as exit code 128 + signal."""
    if (result.signal == signal.SIGKILL or result.code == _KILLED_CODE) and oom.claim(kills_before):
        return Reason.OOM_KILLED, "killed by the kernel: out of memory"
    return (Reason.EXITED if result.signal is None else Reason.SIGNALLED), str(result)
