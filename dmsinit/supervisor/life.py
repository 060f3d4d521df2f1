"""The life of one service, as one readable coroutine: `Life.live`.

Contract: everybody else only says what is wanted (unit.py); the life brings the service there, through the states of
states.py. Exactly one task runs `live` of a unit, so no two starts of a service ever overlap.
"""

import random
import time
from typing import Final

import anyio

from dmsinit.supervisor import hints, needs
from dmsinit.supervisor.backoff import Backoff
from dmsinit.supervisor.command import CannotStart
from dmsinit.supervisor.relations import Relations
from dmsinit.supervisor.runtime import EXHAUSTED
from dmsinit.supervisor.states import RUNNING, Reason, State
from dmsinit.supervisor.unit import Unit
from dmsinit.supervisor.verdict import Ending, Verdict, bury, is_done, wants_restart

_PERIOD_JITTER: Final = 0.1
"""Containers that were started together must not ask a mirror for updates together for ever."""


_RECOVERY_SECONDS: Final = 30.0
"""What is due on a recovery must not keep health from being watched."""


class Life:
    """Lives for one unit."""

    def __init__(self, unit: Unit, relations: Relations) -> None:
        self._unit = unit
        self._relations = relations

    async def live(self) -> None:
        """Bring the service to where it is wanted, for ever."""
        unit = self._unit
        while True:
            while not unit.wanted:
                await unit.demand.wait()
            with anyio.CancelScope() as scope:
                unit.scope = scope
                await self._keep_up()
            unit.scope = None
            if scope.cancel_called:
                await self._go_down()
            else:
                unit.wanted = False

    async def recover(self) -> None:
        """Begin anew after a defect of ours: end what runs, and forget in which state it was."""
        unit = self._unit
        unit.scope = None
        await unit.tree.end(unit.service.stop)
        unit.state = State.STOPPED
        unit.changed.fire()

    # Up

    async def _keep_up(self) -> None:
        """Start it and start it again, as its policy says, until it is done or given up."""
        unit = self._unit
        backoff = Backoff(unit.service.restart)
        reason, detail = unit.why, ""
        while True:
            if unit.tree.alive and unit.state in RUNNING:  # taken over from a predecessor
                end = await self._see_through()
            else:
                unit.to(State.WAITING, reason, detail)
                await self._until_it_may_start()
                end = await self._one_life(reason)
            delay = None
            if wants_restart(unit.service, end):
                backoff.policy = unit.service.restart  # a new plan may say otherwise
                delay = backoff.next_delay(lived_healthy_seconds=end.healthy_seconds, now=unit.runtime.clock())
                end = end._replace(final=delay is None)
            if delay is None:
                self._rest(end)
                if not unit.service.every_seconds:
                    return
                await self._until_next_run()
                reason, detail, backoff = Reason.SCHEDULE, "", Backoff(unit.service.restart)
                continue
            unit.restarts += 1
            reason, detail = end.reason, end.detail
            unit.to(State.BACKOFF, reason, f"{detail}; next start in {delay:.1f} s" if delay else detail)
            if delay:
                await anyio.sleep(delay)

    def _rest(self, end: Ending) -> None:
        """It ended for good: done (`exited`), or given up (`failed`)."""
        unit = self._unit
        if is_done(unit.service, end):
            unit.to(State.EXITED, end.reason, end.detail)
        else:
            unit.to(State.FAILED, end.reason, end.detail)
            unit.runtime.log.error(f"{unit.name} has failed and stays down: {end.detail}")

    async def _until_next_run(self) -> None:
        """Wait for the next period, counted from now, so that missed runs do not pile up; a little less, by chance."""
        unit = self._unit
        pause = unit.service.every_seconds * (1 - _PERIOD_JITTER * random.random())  # noqa: S311 - no secret
        unit.next_run = time.time() + pause
        await anyio.sleep(pause)
        unit.next_run = None

    async def _until_it_may_start(self) -> None:
        unit = self._unit
        try:
            while blockers := self._relations.blockers(unit):
                unit.waiting_for = [blocker.name for blocker in blockers]
                unit.span.waited_for = blockers[0].name
                await blockers[0].changed.wait()
        finally:
            unit.waiting_for = []
        while unit.service.late and not unit.runtime.up:
            await unit.runtime.up_changed.wait()
        await needs.until_files(unit)

    async def _one_life(self, reason: Reason) -> Ending:
        """Spawn it and see it through to its end."""
        unit = self._unit
        unit.to(State.STARTING, reason)
        unit.starts += 1
        unit.ready_at = None
        unit.ownership.starts(unit.service)
        try:
            unit.tree.spawn(unit.service, unit.listen())
        except CannotStart as error:
            return Ending(Reason.EXITED, f"cannot start {unit.name}: {error}", False, final=True)
        except OSError as error:
            told = f"cannot start {unit.name}: {error.strerror or error}"
            if shortage := hints.shortage(error):
                told = f"{told}; {shortage}"
                unit.runtime.log.warn(told)
            return Ending(Reason.EXITED, told, False, final=error.errno not in EXHAUSTED)
        if unit.span.spawned is None:
            unit.span.spawned = unit.tree.spawned_at
        return await self._see_through()

    async def _see_through(self) -> Ending:
        """See the process through to its end; whatever it leaves behind is gone when this returns."""
        unit = self._unit
        child = unit.tree.child
        if child is None:
            raise RuntimeError("there is no process to see through")
        kills_before = unit.runtime.oom.count()
        verdict: Verdict | None = None
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                nonlocal verdict
                verdict = await self._watch_answers()
                group.cancel_scope.cancel()

            if unit.service.type != "oneshot":
                group.start_soon(watch)
            await child.wait()
            group.cancel_scope.cancel()
        if verdict is not None and child.alive:
            unit.to(State.STOPPING, *verdict)
            unit.tell_trouble(f"{unit.name} is restarted: {verdict.detail}", f"restarted {verdict.reason}", unit.hint())
        await unit.tree.end(unit.service.stop)
        return bury(unit, await child.wait(), verdict, kills_before)

    async def _watch_answers(self) -> Verdict:
        """Return when the process has to go although it lives: it did not become ready, or it stopped answering."""
        unit = self._unit
        if unit.state is State.STARTING:
            problem = await self._first_answer()
            if problem is not None:
                limit_seconds = unit.service.ready.timeout_seconds
                return Verdict(Reason.READY_TIMEOUT, f"not ready within {limit_seconds:g} s ({problem})")
            unit.ready_at = unit.runtime.clock()
            unit.ready_seconds = unit.ready_at - unit.tree.spawned_at
            if unit.span.ended is None:
                unit.span.ended = unit.ready_at
            unit.to(State.READY, unit.reason)
            await self._recovered()
        if unit.service.ready.probe.kind != "process":  # which holds before the process has done anything
            unit.tree.members()  # learn the sessions of the whole tree while parents and children are still together
        while True:
            with anyio.CancelScope() as scope:
                unit.asking = scope
                return Verdict(Reason.PROBE_FAILED, await unit.answers.no_more(unit.service.health, self._health_is))
            if unit.service.health is None and unit.state in (State.BUSY, State.UNHEALTHY):  # nobody will ask again
                unit.to(State.READY, Reason.CONFIG_CHANGED)

    async def _first_answer(self) -> str | None:
        """Ask until it is ready, anew when it is asked otherwise; return None then, or the last problem."""
        unit = self._unit
        while True:
            with anyio.CancelScope() as scope:
                unit.asking = scope
                return await unit.answers.at_last(unit.service.ready)

    async def _recovered(self) -> None:
        """Carry out what is due when it answers again after others may have missed it."""
        unit = self._unit
        if unit.service.on_recovery and unit.missed:
            with anyio.move_on_after(_RECOVERY_SECONDS):
                await unit.runtime.run(unit.service.on_recovery, unit.tree.output)
        unit.missed = True

    def _health_is(self, problem: str | None, work: str) -> bool:
        """Take the result of a health probe: None or what was wrong, and what the service does without an answer.

        Return whether a failure counts: not while it reads its files again, and not while a service that it talks to
        gives no answer, for which it waits as its clients wait for it.
        """
        unit = self._unit
        if unit.state not in (State.READY, State.BUSY, State.UNHEALTHY):
            return False
        ill = self._relations.ill_that_it_talks_to(unit) if problem is not None else []
        if ill:
            problem = f"{problem}; it may wait for {', '.join(ill)}, which does not answer"
        state = State.READY if problem is None else State.BUSY if work else State.UNHEALTHY
        if state is not unit.state:
            detail = "answers again" if problem is None else f"{work}: {problem}" if work else problem
            unit.to(state, Reason.PROBE_FAILED, detail)
            if state is State.UNHEALTHY and unit.service.health and unit.service.health.probe.kind == "command":
                unit.runtime.log.warn(f"{unit.name} is unhealthy: {detail}")  # it says what is wrong
        return not ill

    # Down

    async def _go_down(self) -> None:
        """End what runs, because somebody wants it down or anew."""
        unit = self._unit
        if unit.state in RUNNING:
            if unit.state is not State.STOPPING:
                unit.to(State.STOPPING, unit.why)
            while not unit.wanted and (dependents := self._relations.going_down(unit)):
                await dependents[0].changed.wait()
            await unit.tree.end(unit.service.stop)
            unit.tree.output.drain()
            unit.notices.close()
            unit.tree.output.note(f"[dmsinit] {unit.name} stopped")
        unit.to(State.STOPPED, unit.why, self._relations.stopped_for(unit))
