"""Making a service read its files again, and seeing that it runs with them.

Contract:
- Reloads of one service never overlap. Who wants one while another is under way shares the next one with all who want
  it by then.
- A reload is over when the service runs with what the files say: the command has ended or the signal was taken, the
  children that `[reload] renews` names are new ones, and the readiness probe is answered. Until then the state is
  `reloading`; the service goes on answering with what it had.
- A signal is sent only to a process that expects it: one that executes itself anew would be killed by it.
"""

from collections.abc import Callable

import anyio

from dmsinit.base.dispositions import is_pending, would_kill
from dmsinit.plan import Reload
from dmsinit.supervisor.children import Child
from dmsinit.supervisor.errors import OperationFailed
from dmsinit.supervisor.probing import until_asked_again
from dmsinit.supervisor.progress import progress
from dmsinit.supervisor.renewal import Renewal
from dmsinit.supervisor.states import ANSWERING, Reason, State
from dmsinit.supervisor.tree import signal_number
from dmsinit.supervisor.unit import Unit


async def reload(unit: Unit, reason: Reason) -> None:
    """Make it read its files again, and return when it runs with them; OperationFailed says why not."""
    turns = unit.turns
    turns.wished += 1
    wish = turns.wished
    async with turns.running:
        if turns.served < wish:
            serves, turns.failure = turns.wished, None
            try:
                await _reload_now(unit, reason)
            except OperationFailed as failure:
                turns.failure = failure
            turns.served = serves
        if turns.failure is not None:
            raise OperationFailed(str(turns.failure), log_lines=turns.failure.log_lines)


async def _reload_now(unit: Unit, reason: Reason) -> None:
    how = unit.service.reload
    if how is None:
        raise unit.failed(f"cannot reload {unit.name}: it has no way to reload; restart it")
    with anyio.move_on_after(unit.service.ready.timeout_seconds):
        while _reloads(unit):  # announced by the service itself
            await unit.changed.wait()
    child = unit.tree.child
    if unit.state not in ANSWERING or _reloads(unit) or child is None:
        raise unit.failed(f"cannot reload {unit.name}: it is {unit.state}; start it first")
    unit.to(State.RELOADING, reason)
    unit.reloading = True
    try:
        problem, at_work = await _while_it_lives(unit, how, child)
        while not child.alive and _reloads(unit):  # its life has to notice
            await unit.changed.wait()
    finally:
        unit.reloading = False
    if not _reloads(unit):
        raise unit.failed(f"cannot reload {unit.name}: it ended meanwhile ({unit.trouble})")
    if problem and at_work:
        unit.to(State.BUSY, reason, f"{at_work}: {problem}")
    elif problem:
        unit.to(State.UNHEALTHY, Reason.PROBE_FAILED, problem)
        raise unit.failed(f"cannot reload {unit.name}: {problem}", unit.hint())
    else:
        unit.to(State.READY, reason)


def _reloads(unit: Unit) -> bool:
    return unit.state is State.RELOADING


async def _while_it_lives(unit: Unit, how: Reload, child: Child) -> tuple[str, str]:
    """Reload, but not beyond the end of its main process; return what went wrong, and what it does all the same."""
    problem = at_work = ""
    async with anyio.create_task_group() as group:

        async def work() -> None:
            nonlocal problem, at_work
            problem, at_work = await _reload(unit, how, child)
            group.cancel_scope.cancel()

        group.start_soon(work)
        await child.wait()
        group.cancel_scope.cancel()
    return problem, at_work


async def _reload(unit: Unit, how: Reload, child: Child) -> tuple[str, str]:
    """Tell it to reload; return what went wrong, or nothing when it runs with its new configuration.

    One that has taken it and is too busy to answer runs with it: what it does is returned beside.
    """
    unit.notices.ready.clear()
    number = signal_number(how.signal)
    limit_seconds = unit.service.ready.timeout_seconds
    what = f"{how.command[0]} did not end" if how.command else f"it did not take SIG{how.signal}"
    problem = f"{what} within {limit_seconds:g} s"
    with anyio.move_on_after(limit_seconds):
        if not how.command:
            await _until(unit, lambda: not would_kill(child.pid, number))
        renewal = Renewal(child.pid, how.renews, keeps_old=how.keeps_old)
        problem = await (_run(unit, how) if how.command else _signal(unit, number, child))
        if not problem:
            problem = f"no new {' or '.join(how.renews)} within {limit_seconds:g} s"
            await _until(unit, lambda: renewal.done(unit.runtime.clock()))
            problem = ""
    if problem:
        return problem, ""
    before = unit.look()
    problem = await unit.answers.at_last(unit.service.ready) or ""
    return problem, progress(before, unit.look()) if problem else ""


async def _signal(unit: Unit, number: int, child: Child) -> str:
    """Send the signal, and return when it was taken."""
    child.send_signal(number)
    await _until(unit, lambda: not is_pending(child.pid, number))
    return ""


async def _run(unit: Unit, how: Reload) -> str:
    """Run the reload command; it may take as long as a start may take to be ready."""
    program = how.command[0]
    try:
        code = await unit.runtime.run(how.command, unit.tree.output)
    except OSError as error:
        return f"cannot run {program}: {error}"
    return f"{program} ended with exit code {code}" if code else ""


async def _until(unit: Unit, holds: Callable[[], bool]) -> None:
    """Return when it holds. The kernel has no event for it; the pauses grow with the time that it takes."""
    began = unit.runtime.clock()
    while not holds():  # noqa: ASYNC110 - bounded by who calls
        await anyio.sleep(until_asked_again(unit.runtime.clock() - began, 0))
