"""The life of one service, as one readable coroutine: `live`.

Everybody else only says what is wanted (`want_up`, `want_down`, `want_restart`, `reload`); the life brings the service
there, through the states of states.py. Exactly one task runs `live`, so no two starts of a service ever overlap.
"""

import random
import signal
import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

import anyio

from dmsinit.log import timestamp
from dmsinit.plan import Reload, Service
from dmsinit.supervisor.answers import Answers
from dmsinit.supervisor.backoff import Backoff
from dmsinit.supervisor.children import Child, Exit
from dmsinit.supervisor.command import CannotStart
from dmsinit.supervisor.errors import EXCERPT_LINES, OperationFailed
from dmsinit.supervisor.handover import SETTLED_ENOUGH, UnitState
from dmsinit.supervisor.notify import Notices
from dmsinit.supervisor.oom import kills
from dmsinit.supervisor.pulse import Pulse
from dmsinit.supervisor.states import ANSWERING, AT_REST, RUNNING, Reason, State, check
from dmsinit.supervisor.status import Death, Event, ServiceStatus, Span
from dmsinit.supervisor.tree import Tree, signal_number
from dmsinit.supervisor.world import World

DEATHS_KEPT: Final = 10
_PERIOD_JITTER: Final = 0.1
"""Containers that were started together must not ask a mirror for updates together for ever."""


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


class Unit:
    """One service: its definition, its state, its processes, its past."""

    def __init__(self, service: Service, world: World, find: Callable[[str], "Unit | None"]) -> None:
        self.service = service
        self.state = State.STOPPED if service.enabled else State.DISABLED
        self.reason = Reason.BOOT
        self.detail = ""
        self.since = time.time()
        self.starts = 0
        self.restarts = 0
        self.deaths: deque[Death] = deque(maxlen=DEATHS_KEPT)
        self.waiting_for: list[str] = []
        self.wanted = False
        self.changed = Pulse()
        self.tree = Tree(service, world)
        self.notices = Notices(world.runtime_directory / "notify" / service.name, self.tree.has, self._noticed)
        self.answers = Answers(world, self.notices)
        self.ready_seconds: float | None = None
        self.next_run: float | None = None
        self.span = Span(name=service.name, kind="service", began=world.clock())
        self._world = world
        self._find = find
        self._why = Reason.BOOT
        self._demand = Pulse()
        self._scope: anyio.CancelScope | None = None
        self._reloading = False
        self._ready_at: float | None = None

    @property
    def name(self) -> str:
        return self.service.name

    @property
    def settled(self) -> bool:
        """Nobody who merely wants this service, or comes after it, has to wait for it any longer."""
        if self.state in ANSWERING or self.state in (State.BACKOFF, State.EXITED, State.FAILED):
            return True
        return not (self.wanted or self.state in RUNNING)

    @property
    def at_rest(self) -> bool:
        """Nothing of it runs, and nothing will by itself."""
        return not self.wanted and self._scope is None and self.state in AT_REST

    @property
    def transferable(self) -> bool:
        """It may be handed over: nothing is under way but waiting, or a process that lives."""
        return self.state in SETTLED_ENOUGH and (self.tree.alive or self.state not in RUNNING)

    @property
    def done(self) -> bool:
        """It has nothing left to do for the server to be complete."""
        if self.service.every_seconds:
            return True  # what runs now and then is no part of a complete server
        return self.state is State.READY or (self.service.type == "oneshot" and self.state is State.EXITED)

    @property
    def fulfilled(self) -> bool:
        """Who requires this service may run."""
        return self.state in ANSWERING or (self.service.type == "oneshot" and self.state is State.EXITED)

    # What others want of it

    def want_up(self, reason: Reason) -> None:
        """Make it run, as soon as what it waits for is there; no effect on one that runs or waits already."""
        if not self.wanted:
            self.wanted, self._why = True, reason
            self._demand.fire()
        elif self.state in (State.EXITED, State.FAILED):  # between two runs of a periodic service
            self.want_restart(reason)

    def want_down(self, reason: Reason) -> None:
        """Make it stop, and stay so until somebody wants it up."""
        self.wanted, self._why = False, reason
        if self._scope is not None:
            self._scope.cancel()
        elif self.state in (State.FAILED, State.EXITED):
            self._to(State.STOPPED, reason)

    def want_restart(self, reason: Reason) -> None:
        """Stop what runs and start anew; start one that does not run."""
        if self._scope is None:
            self.want_up(reason)
        else:
            self.wanted, self._why = True, reason
            self._scope.cancel()

    def set_enabled(self, enabled: bool) -> None:
        """Follow a new definition of a service that does not run."""
        if enabled and self.state is State.DISABLED:
            self._to(State.STOPPED, Reason.CONFIG_CHANGED)
        elif not enabled and self.state in (State.STOPPED, State.EXITED, State.FAILED):
            self._to(State.DISABLED, Reason.CONFIG_CHANGED)

    async def reload(self, reason: Reason) -> None:
        """Make it read its files again and see that it answers after that; OperationFailed says why not."""
        how, child = self.service.reload, self.tree.child
        if how is None:
            raise self.failed(f"cannot reload {self.name}: it has no way to reload; restart it")
        if self.state not in (State.READY, State.UNHEALTHY) or child is None:
            raise self.failed(f"cannot reload {self.name}: it is {self.state}; start it first")
        self._to(State.RELOADING, reason)
        self._reloading = True
        try:
            problem = await self._reload(how, child)
        finally:
            self._reloading = False
        if self.state is not State.RELOADING:
            raise self.failed(f"cannot reload {self.name}: it ended meanwhile ({self.detail})")
        if problem:
            self._to(State.UNHEALTHY, Reason.PROBE_FAILED, problem)
            raise self.failed(f"cannot reload {self.name}: {problem}")
        self._to(State.READY, reason)

    async def _reload(self, how: Reload, child: Child) -> str:
        """Tell it to reload; return what went wrong, or nothing when it answers again."""
        self.notices.ready.clear()
        if how.command:
            code = await self._world.run(how.command, self.tree.output)
            if code:
                return f"{how.command[0]} ended with exit code {code}"
        else:
            child.send_signal(signal_number(how.signal))
        return await self.answers.at_last(self.service.ready) or ""

    def send_signal(self, number: int) -> None:
        """Send a signal to the main process; OperationFailed when there is none."""
        if self.tree.child is None or not self.tree.alive:
            raise self.failed(f"cannot signal {self.name}: it is {self.state}; start it first")
        self.tree.child.send_signal(number)

    # The life

    async def live(self) -> None:
        """Bring the service to where it is wanted, for ever."""
        while True:
            while not self.wanted:
                await self._demand.wait()
            with anyio.CancelScope() as scope:
                self._scope = scope
                await self._keep_up()
            self._scope = None
            if scope.cancel_called:
                await self._go_down()
            else:
                self.wanted = False

    async def recover(self) -> None:
        """Begin anew after a defect of ours: end what runs, and forget in which state it was."""
        self._scope = None
        await self.tree.end(self.service.stop)
        self.state = State.STOPPED
        self.changed.fire()

    async def _keep_up(self) -> None:
        """Start it and start it again, as its policy says, until it is done or given up."""
        backoff = Backoff(self.service.restart)
        reason, detail = self._why, ""
        while True:
            if self.tree.alive and self.state in RUNNING:  # taken over from a predecessor
                end = await self._see_through()
            else:
                self._to(State.WAITING, reason, detail)
                await self._until_it_may_start()
                end = await self._one_life(reason)
            delay = None
            if self._wants_restart(end):
                delay = backoff.next_delay(lived_healthy_seconds=end.healthy_seconds, now=self._world.clock())
                end = end._replace(final=delay is None)
            if delay is None:
                self._rest(end)
                if not self.service.every_seconds:
                    return
                await self._until_next_run()
                reason, detail, backoff = Reason.SCHEDULE, "", Backoff(self.service.restart)
                continue
            self.restarts += 1
            reason, detail = end.reason, end.detail
            self._to(State.BACKOFF, reason, f"{detail}; next start in {delay:.1f} s" if delay else detail)
            if delay:
                await anyio.sleep(delay)

    def _wants_restart(self, end: Ending) -> bool:
        if end.final or (self.service.type == "oneshot" and end.success):
            return False
        policy = self.service.restart.policy
        return policy == "always" or (policy == "on-failure" and not end.success)

    def _rest(self, end: Ending) -> None:
        """It ended for good: done (`exited`), or given up (`failed`)."""
        ended_by_itself = end.reason in (Reason.EXITED, Reason.SIGNALLED)
        if end.success or (ended_by_itself and not end.final and self.service.restart.policy == "never"):
            self._to(State.EXITED, end.reason, end.detail)
        else:
            self._to(State.FAILED, end.reason, end.detail)
            self._world.log.error(f"{self.name} has failed and stays down: {end.detail}")

    async def _until_next_run(self) -> None:
        """Wait for the next period, counted from now, so that missed runs do not pile up; a little less, by chance."""
        pause = self.service.every_seconds * (1 - _PERIOD_JITTER * random.random())  # noqa: S311 - no secret
        self.next_run = time.time() + pause
        await anyio.sleep(pause)
        self.next_run = None

    async def _until_it_may_start(self) -> None:
        while blocker := self._blocker():
            self.span.waited_for = blocker.name
            await blocker.changed.wait()
        while self.service.late and not self._world.up:
            await self._world.up_changed.wait()

    def _blocker(self) -> "Unit | None":
        """Return one of the services that this one has to wait for, and note all of them."""
        service = self.service
        hard = [unit for name in service.requires if (unit := self._find(name)) and not unit.fulfilled]
        soft = [unit for name in (*service.wants, *service.after) if (unit := self._find(name)) and not unit.settled]
        self.waiting_for = list(dict.fromkeys(unit.name for unit in hard + soft))
        return next(iter(hard + soft), None)

    async def _one_life(self, reason: Reason) -> Ending:
        """Spawn it and see it through to its end."""
        self._to(State.STARTING, reason)
        self.starts += 1
        self._ready_at = None
        try:
            self.tree.spawn(self.service, self._notification())
        except (CannotStart, OSError) as error:
            return Ending(Reason.EXITED, f"cannot start {self.name}: {error}", False, final=True)
        if self.span.spawned is None:
            self.span.spawned = self.tree.spawned_at
        return await self._see_through()

    async def _see_through(self) -> Ending:
        """See the process through to its end; whatever it leaves behind is gone when this returns."""
        child = self.tree.child
        if child is None:
            raise RuntimeError("there is no process to see through")
        kills_before = kills()
        verdict: Verdict | None = None
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                nonlocal verdict
                verdict = await self._watch_answers()
                group.cancel_scope.cancel()

            if self.service.type != "oneshot":
                group.start_soon(watch)
            await child.wait()
            group.cancel_scope.cancel()
        if verdict is not None and child.alive:
            self._to(State.STOPPING, *verdict)
            self._world.log.warn(self.failure(f"{self.name} is restarted: {verdict.detail}"))
        await self.tree.end(self.service.stop)
        return self._bury(await child.wait(), verdict, kills_before)

    def _notification(self) -> dict[str, str]:
        """Listen for sd_notify messages where the service sends some; return what it has to know for that."""
        ready, health = self.service.ready, self.service.health
        watchdog = health is not None and health.probe.kind == "notify"
        if ready.probe.kind != "notify" and not watchdog:
            return {}
        self.notices.open()
        told = {"NOTIFY_SOCKET": str(self.notices.path)}
        if health is not None and watchdog:
            told["WATCHDOG_USEC"] = str(int(health.interval_seconds * 1e6))
        return told

    def _noticed(self) -> None:
        """Follow what the service itself says about a reload that it began on its own."""
        if self.notices.reloading and self.state in (State.READY, State.UNHEALTHY):
            self._to(State.RELOADING, Reason.CONFIG_CHANGED, "announced by the service")
        elif self.notices.ready.is_set() and self.state is State.RELOADING and not self._reloading:
            self._to(State.READY, self.reason)

    async def _watch_answers(self) -> Verdict:
        """Return when the process has to go although it lives: it did not become ready, or it stopped answering."""
        ready = self.service.ready
        if self.state is State.STARTING:
            problem = await self.answers.at_last(ready)
            if problem is not None:
                return Verdict(Reason.READY_TIMEOUT, f"not ready within {ready.timeout_seconds:g} s ({problem})")
            self._ready_at = self._world.clock()
            self.ready_seconds = self._ready_at - self.tree.spawned_at
            if self.span.ended is None:
                self.span.ended = self._ready_at
            self._to(State.READY, self.reason)
        self.tree.members()  # learn the sessions of the whole tree while parents and children are still together
        return Verdict(Reason.PROBE_FAILED, await self.answers.no_more(self.service.health, self._health_is))

    def _health_is(self, problem: str | None) -> None:
        """Take the result of a health probe: None, or what was wrong."""
        if problem is not None and self.state is State.READY:
            self._to(State.UNHEALTHY, Reason.PROBE_FAILED, problem)
        elif problem is None and self.state is State.UNHEALTHY:
            self._to(State.READY, Reason.PROBE_FAILED, "answers again")

    def _bury(self, result: Exit, verdict: Verdict | None, kills_before: int | None) -> Ending:
        """Note how the process ended, and say so where people look."""
        now = self._world.clock()
        lived = now - self.tree.spawned_at
        healthy = now - self._ready_at if self._ready_at is not None else 0.0
        reason, detail = verdict or _cause(result, kills_before)
        self.deaths.append(Death(time=timestamp(), cause=reason, detail=detail, seconds_lived=round(lived, 3)))
        self.tree.output.drain()
        self.notices.close()
        success = result.success and verdict is None
        if verdict is None and not (success and self.service.type == "oneshot"):
            self._world.log.warn(self.failure(f"{self.name} ended after {lived:.1f} s: {detail}"))
        self.tree.output.note(f"[dmsinit] {self.name} ended: {detail}")
        return Ending(reason, detail, success, healthy)

    async def _go_down(self) -> None:
        """End what runs, because somebody wants it down or anew."""
        if self.state in RUNNING:
            if self.state is not State.STOPPING:
                self._to(State.STOPPING, self._why)
            await self.tree.end(self.service.stop)
            self.tree.output.drain()
            self.notices.close()
            self.tree.output.note(f"[dmsinit] {self.name} stopped")
        self._to(State.STOPPED, self._why)

    # What others see

    def failed(self, sentence: str) -> OperationFailed:
        """Return an error for whoever asked, with the last log lines of the service."""
        return OperationFailed(sentence, log_lines=self.tree.output.tail(EXCERPT_LINES))

    def failure(self, sentence: str) -> str:
        """Return the sentence with the last words of this life of the service, for the log."""
        tail = self.tree.output.last_words(EXCERPT_LINES)
        return "\n".join((sentence, *(f"  {self.name} | {line}" for line in tail)))

    def status(self, memory_bytes: int | None, processes: int) -> ServiceStatus:
        child = self.tree.child if self.tree.alive else None
        return ServiceStatus(
            name=self.name,
            description=self.service.description,
            state=self.state,
            reason=self.reason,
            detail=self.detail,
            pid=child.pid if child else None,
            uptime_seconds=round(self._world.clock() - self.tree.spawned_at, 3) if child else None,
            restarts=self.restarts,
            memory_bytes=memory_bytes,
            waiting_for=list(self.waiting_for),
            last_exit=self.deaths[-1] if self.deaths else None,
            deaths=list(self.deaths),
            since=timestamp(self.since),
            ready_seconds=self.ready_seconds,
            enabled=self.service.enabled,
            processes=processes,
            next_run=timestamp(self.next_run) if self.next_run is not None else None,
            notice=self.notices.status,
        )

    # Across a re-execution of PID 1

    def hand_over(self) -> UnitState:
        """Return all that a successor has to know; this unit is of no use after that."""
        return UnitState(
            name=self.name,
            state=self.state,
            reason=self.reason,
            detail=self.detail,
            since=self.since,
            wanted=self.wanted,
            pid=self.tree.child.pid if self.tree.child is not None and self.tree.alive else None,
            spawned_at=self.tree.spawned_at,
            ready_at=self._ready_at,
            ready_seconds=self.ready_seconds,
            starts=self.starts,
            restarts=self.restarts,
            deaths=list(self.deaths),
            sessions=sorted(self.tree.sessions),
            lines=list(self.tree.output.ring),
            pipes=self.tree.output.detach(),
            span=self.span,
        )

    def take_over(self, given: UnitState) -> None:
        """Go on where a predecessor stood; call it before `live`."""
        self.state, self.reason, self.detail = State(given.state), Reason(given.reason), given.detail
        self.since, self.wanted, self._why = given.since, given.wanted, Reason(given.reason)
        self.starts, self.restarts, self.ready_seconds = given.starts, given.restarts, given.ready_seconds
        self.deaths.extend(given.deaths)
        self.span, self._ready_at = given.span, given.ready_at
        self.tree.output.ring.extend(given.lines)
        for pipe in given.pipes:
            self.tree.output.attach(pipe)
        self.tree.take_over(given.pid, given.spawned_at, given.sessions)
        if given.pid is not None:
            self._notification()
        elif self.wanted or self.state in RUNNING:
            self.state = State.STOPPED  # its life begins anew with waiting

    def _to(self, state: State, reason: Reason, detail: str = "") -> None:
        """Make a transition: the only place where the state changes."""
        check(self.name, self.state, state)
        old, self.state, self.reason, self.detail, self.since = self.state, state, reason, detail, time.time()
        self._world.events.publish(
            Event(time=timestamp(), service=self.name, from_state=old, to_state=state, reason=reason, detail=detail)
        )
        self._world.log.debug(f"{self.name}: {old} → {state} ({reason}{': ' + detail if detail else ''})")
        self.changed.fire()


def _cause(result: Exit, kills_before: int | None) -> tuple[Reason, str]:
    if result.signal == signal.SIGKILL and kills_before is not None and (kills() or 0) > kills_before:
        return Reason.OOM_KILLED, "killed by the kernel: out of memory"
    return (Reason.EXITED if result.signal is None else Reason.SIGNALLED), str(result)
