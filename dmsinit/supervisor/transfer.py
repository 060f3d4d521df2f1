"""One service across a re-execution of PID 1: what the successor has to know, and going on from there.

Contract: no process is touched. What `hand_over` returns is plain data but for `pipes`, which stay open; `take_over`
wants a new Unit that does not live yet.
"""

from dmsinit.supervisor.handover import UnitState
from dmsinit.supervisor.states import RUNNING, Reason, State
from dmsinit.supervisor.unit import Unit


def hand_over(unit: Unit) -> UnitState:
    """Return all that a successor has to know; the unit is of no use after that."""
    return UnitState(
        name=unit.name,
        state=unit.state,
        reason=unit.reason,
        detail=unit.detail,
        since=unit.since,
        wanted=unit.wanted,
        why=unit.why,
        pid=unit.tree.child.pid if unit.tree.child is not None and unit.tree.alive else None,
        spawned_at=unit.tree.spawned_at,
        ready_at=unit.ready_at,
        ready_seconds=unit.ready_seconds,
        starts=unit.starts,
        restarts=unit.restarts,
        deaths=list(unit.deaths),
        sessions=sorted(unit.tree.sessions),
        lines=list(unit.tree.output.ring),
        pipes=unit.tree.output.detach(),
        span=unit.span,
    )


def take_over(unit: Unit, given: UnitState) -> None:
    """Go on where a predecessor stood; call it before `live`."""
    unit.state, unit.reason, unit.detail = State(given.state), Reason(given.reason), given.detail
    unit.since, unit.wanted, unit.why = given.since, given.wanted, Reason(given.why or given.reason)
    unit.starts, unit.restarts, unit.ready_seconds = given.starts, given.restarts, given.ready_seconds
    unit.deaths.extend(given.deaths)
    unit.span, unit.ready_at, unit.missed = given.span, given.ready_at, given.ready_at is not None
    unit.tree.output.ring.extend(given.lines)
    for pipe in given.pipes:
        unit.tree.output.attach(pipe)
    unit.tree.take_over(given.pid, given.spawned_at, given.sessions)
    if given.pid is not None:
        unit.listen()
    elif unit.wanted or unit.state in RUNNING:
        unit.state = State.STOPPED  # its life begins anew with waiting
