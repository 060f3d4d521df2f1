"""One service as all others see it: what it is, where it stands, what is wanted of it, and what it has been through.

Contract:
- `want_up`, `want_down` and `want_restart` return at once; the life (life.py) brings the service there. They may be
  called at any time, in any state.
- `to` is the only place where the state changes. It makes the transition, publishes it and wakes whoever waits for
  `changed`; one that the table of states.py does not hold raises TransitionError.
- What is asked here (`settled`, `at_rest`, `done`, `fulfilled`, `status`) changes nothing and never blocks.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

import anyio

from dmsinit.log import timestamp
from dmsinit.plan import Service
from dmsinit.supervisor import hints
from dmsinit.supervisor.causes import last_error
from dmsinit.supervisor.errors import EXCERPT_LINES, OperationFailed
from dmsinit.supervisor.handover import SETTLED_ENOUGH
from dmsinit.supervisor.notify import Notices
from dmsinit.supervisor.ownership import Ownership
from dmsinit.supervisor.probing import Answers
from dmsinit.supervisor.progress import SUSPENDED, Sample, sample
from dmsinit.supervisor.pulse import Pulse
from dmsinit.supervisor.runtime import Runtime
from dmsinit.supervisor.states import ANSWERING, AT_REST, COMPLETE, RUNNING, Reason, State, check
from dmsinit.supervisor.status import Death, Event, ServiceStatus, Span
from dmsinit.supervisor.telling import Telling
from dmsinit.supervisor.tree import Tree
from dmsinit.supervisor.turns import Turns

DEATHS_KEPT: Final = 10
CHANCES: Final = 3
"""Restarts after which nobody who waits for the whole waits for this one."""


class Unit:
    """One service. The fields of the second paragraph of __init__ are for its life and its handover alone."""

    def __init__(self, service: Service, runtime: Runtime, moved: Callable[["Unit"], None]) -> None:
        self.service = service
        self.runtime = runtime
        self.state = State.STOPPED if service.enabled else State.DISABLED
        self.reason = Reason.BOOT
        self.detail = ""
        self.since = time.time()
        self.wanted = False
        self.starts = 0
        self.restarts = 0
        self.deaths: deque[Death] = deque(maxlen=DEATHS_KEPT)
        self.waiting_for: list[str] = []
        self.lacks_files = False
        self.ready_seconds: float | None = None
        self.next_run: float | None = None
        self.span = Span(name=service.name, kind="service", began=runtime.clock())
        self.changed = Pulse()
        self.tree = Tree(service, runtime)

        self.notices = Notices(runtime.runtime_directory / "notify" / service.name, self.tree.has, self._noticed)
        runtime.looks[service.name] = self.tree.members
        self.ownership = Ownership(service.name, runtime, self.tree)
        self.answers = Answers(
            runtime, self.notices, self.look, self.ownership.problem, self._last_error, self.tree.output
        )
        self.moved = moved
        self.why = Reason.BOOT
        self.demand = Pulse()
        self.scope: anyio.CancelScope | None = None
        self.asking: anyio.CancelScope | None = None
        self.reloading = False
        self.turns = Turns()
        self.telling = Telling(runtime.log)
        self.missed = False
        self.ready_at: float | None = None

    @property
    def name(self) -> str:
        return self.service.name

    @property
    def settled(self) -> bool:
        """Nobody who merely wants this service, or comes after it, has to wait for it any longer."""
        if self.state in ANSWERING or self.state in (State.BACKOFF, State.EXITED, State.FAILED) or self.lacks_files:
            return True
        return not (self.wanted or self.state in RUNNING)

    @property
    def at_rest(self) -> bool:
        """Nothing of it runs, and nothing will by itself."""
        return not self.wanted and self.scope is None and self.state in AT_REST

    @property
    def transferable(self) -> bool:
        """It may be handed over: nothing is under way but waiting, or a process that lives and shall live."""
        if self.state in RUNNING:
            return self.state in SETTLED_ENOUGH and self.tree.alive and self.wanted
        return True

    @property
    def done(self) -> bool:
        """It has nothing left to do for the server to be complete."""
        if self.service.every_seconds:
            return True  # what runs now and then is no part of a complete server
        return self.state in COMPLETE or (self.service.type == "oneshot" and self.state is State.EXITED)

    @property
    def hopeless(self) -> bool:
        """It does not come up by itself, as far as one can tell: given up, without its files, or ended too often."""
        return self.state is State.FAILED or self.lacks_files or self.restarts >= CHANCES

    @property
    def trouble(self) -> str:
        """What is wrong with it, for people: now, or at its last end."""
        return self.detail or (self.deaths[-1].detail if self.deaths else self.state)

    @property
    def fulfilled(self) -> bool:
        """Who requires this service may run."""
        return self.state in ANSWERING or (self.service.type == "oneshot" and self.state is State.EXITED)

    # What others want of it

    def define(self, service: Service) -> None:
        """Take a new definition: probes, restarts and order hold at once, the rest from the next start."""
        asked_otherwise = (service.health, service.ready) != (self.service.health, self.service.ready)
        self.service = service
        if asked_otherwise and self.asking is not None:
            self.asking.cancel()

    def want_up(self, reason: Reason) -> None:
        """Make it run, as soon as what it waits for is there; no effect on one that runs or waits already."""
        if not self.wanted:
            self.wanted, self.why = True, reason
            self.demand.fire()
        elif self.state in (State.EXITED, State.FAILED):  # between two runs of a periodic service
            self.want_restart(reason)

    def want_down(self, reason: Reason) -> None:
        """Make it stop, and stay so until somebody wants it up."""
        self.wanted, self.why = False, reason
        if self.scope is not None:
            self.scope.cancel()
        elif self.state in (State.FAILED, State.EXITED):
            self.to(State.STOPPED, reason)
        elif self.state is State.STOPPED and self.reason is Reason.DEPENDENCY:  # no longer to come back by itself
            self.reason, self.detail = reason, ""
            self.changed.fire()

    def want_restart(self, reason: Reason) -> None:
        """Stop what runs and start anew; start one that does not run."""
        if self.scope is None:
            self.want_up(reason)
        else:
            self.wanted, self.why = True, reason
            self.scope.cancel()

    def set_enabled(self, enabled: bool) -> None:
        """Follow a new definition of a service that does not run."""
        if enabled and self.state is State.DISABLED:
            self.to(State.STOPPED, Reason.CONFIG_CHANGED)
        elif not enabled and self.state in (State.STOPPED, State.EXITED, State.FAILED):
            self.to(State.DISABLED, Reason.CONFIG_CHANGED)

    def send_signal(self, number: int) -> None:
        """Send a signal to the main process; OperationFailed when there is none."""
        if self.tree.child is None or not self.tree.alive:
            raise self.failed(f"cannot signal {self.name}: it is {self.state}; start it first")
        self.tree.child.send_signal(number)

    def listen(self) -> dict[str, str]:
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

    def look(self) -> Sample:
        """Return what its processes have done so far, and those of the services that it waits for at its work."""
        asks = self.service.health.asks if self.service.health is not None else ()
        processes = self.tree.members()
        for name in asks:
            others = self.runtime.looks[name]() if name in self.runtime.looks else []
            if not any(process.state == SUSPENDED for process in others):  # which is no fault of this one
                processes += others
        return sample(processes, self.runtime.clock())

    # Transitions

    def to(self, state: State, reason: Reason, detail: str = "") -> None:
        """Make a transition: the only place where the state changes."""
        check(self.name, self.state, state)
        old, self.state, self.reason, self.detail, self.since = self.state, state, reason, detail, time.time()
        self.runtime.events.publish(
            Event(time=timestamp(), service=self.name, from_state=old, to_state=state, reason=reason, detail=detail)
        )
        self.runtime.log.debug(f"{self.name}: {old} → {state} ({reason}{': ' + detail if detail else ''})")
        self.changed.fire()
        self.moved(self)

    def lack(self, what: str) -> None:
        """Say what it waits for that no service is; nothing when it is there."""
        self.lacks_files = bool(what)
        if self.state is State.WAITING:
            self.detail = what
        if what:
            self.runtime.log.info(f"{self.name} waits: {what}")
        self.changed.fire()

    def _noticed(self) -> None:
        """Follow what the service itself says about a reload that it began on its own."""
        if self.notices.reloading and self.state in (State.READY, State.BUSY, State.UNHEALTHY):
            self.to(State.RELOADING, Reason.CONFIG_CHANGED, "announced by the service")
        elif self.notices.ready.is_set() and self.state is State.RELOADING and not self.reloading:
            self.to(State.READY, self.reason)

    async def _last_error(self, seconds: float) -> str:
        since = timestamp(time.time() - seconds - 1)  # the log's times may be rounded
        return await last_error(self.service, self.tree.output, since, self.runtime)

    # What others see

    def failed(self, sentence: str, hint: str = "") -> OperationFailed:
        """Return an error for whoever asked, with the last log lines of the service, and what to do where we know."""
        told = f"{sentence}; {hint}" if hint else sentence
        return OperationFailed(told, log_lines=self.tree.output.tail(EXCERPT_LINES))

    def tell_trouble(self, sentence: str, cause: str, hint: str = "") -> None:
        """Warn of an end or restart, once for each cause (and last words) until it was well again."""
        healthy_since = self.ready_at
        if (
            healthy_since is not None
            and self.runtime.clock() - healthy_since >= self.service.restart.reset_after_seconds
        ):
            self.telling.well()
        last_words = " ".join(self.tree.output.last_words(1))
        self.telling.trouble(cause, last_words, self.failure(sentence, hint))

    def failure(self, sentence: str, hint: str = "") -> str:
        """Return the sentence with the last words of this life of the service, for the log, and what to do."""
        tail = self.tree.output.last_words(EXCERPT_LINES)
        lines = (sentence, *(f"  {self.name} | {line}" for line in tail))
        return "\n".join((*lines, f"  hint: {hint}") if hint else lines)

    def hint(self) -> str:
        """Return what to do about the present trouble, as the last death or the last lines tell, or nothing."""
        if self.deaths and self.detail.startswith(self.deaths[-1].detail):
            return self.deaths[-1].hint
        return hints.hint(self.tree.output.last_words(EXCERPT_LINES))

    def status(self, memory_bytes: int | None, processes: int) -> ServiceStatus:
        child = self.tree.child if self.tree.alive else None
        return ServiceStatus(
            name=self.name,
            description=self.service.description,
            state=self.state,
            reason=self.reason,
            detail=self.detail,
            pid=child.pid if child else None,
            uptime_seconds=round(self.runtime.clock() - self.tree.spawned_at, 3) if child else None,
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
