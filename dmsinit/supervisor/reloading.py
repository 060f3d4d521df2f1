"""Making a service read its files again, and seeing that it answers after that."""

import anyio

from dmsinit.plan import Reload
from dmsinit.supervisor.children import Child
from dmsinit.supervisor.states import Reason, State
from dmsinit.supervisor.tree import signal_number
from dmsinit.supervisor.unit import Unit


async def reload(unit: Unit, reason: Reason) -> None:
    """Make it read its files again and see that it answers after that; OperationFailed says why not."""
    how, child = unit.service.reload, unit.tree.child
    if how is None:
        raise unit.failed(f"cannot reload {unit.name}: it has no way to reload; restart it")
    if unit.state not in (State.READY, State.UNHEALTHY) or child is None:
        raise unit.failed(f"cannot reload {unit.name}: it is {unit.state}; start it first")
    unit.to(State.RELOADING, reason)
    unit.reloading = True
    try:
        problem = await _reload(unit, how, child)
    finally:
        unit.reloading = False
    if unit.state is not State.RELOADING:
        raise unit.failed(f"cannot reload {unit.name}: it ended meanwhile ({unit.detail})")
    if problem:
        unit.to(State.UNHEALTHY, Reason.PROBE_FAILED, problem)
        raise unit.failed(f"cannot reload {unit.name}: {problem}", unit.hint())
    unit.to(State.READY, reason)


async def _reload(unit: Unit, how: Reload, child: Child) -> str:
    """Tell it to reload; return what went wrong, or nothing when it answers again."""
    unit.notices.ready.clear()
    if how.command:
        if problem := await _run(unit, how):
            return problem
    else:
        child.send_signal(signal_number(how.signal))
    return await unit.answers.at_last(unit.service.ready) or ""


async def _run(unit: Unit, how: Reload) -> str:
    """Run the reload command; it may take as long as a start may take to be ready."""
    program, limit_seconds = how.command[0], unit.service.ready.timeout_seconds
    with anyio.move_on_after(limit_seconds):
        try:
            code = await unit.world.run(how.command, unit.tree.output)
        except OSError as error:
            return f"cannot run {program}: {error}"
        return f"{program} ended with exit code {code}" if code else ""
    return f"{program} did not end within {limit_seconds:g} s"
