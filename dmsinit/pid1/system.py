"""The running system as the control API and the metrics see it: the supervisor, the boot, and what went wrong."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Literal, Protocol

import msgspec

from dmsinit import __version__
from dmsinit.control.operations import Changes, NotYet, Status
from dmsinit.metrics.registry import Metrics
from dmsinit.pid1.observation import Observation
from dmsinit.pid1.rendering import NoAccounts, Rendered, Unchanged
from dmsinit.plan import Plan
from dmsinit.problem import ProblemsFound
from dmsinit.render_protocol import Warned
from dmsinit.supervisor import Applies, Event, OperationFailed, ServiceStatus, Span, Supervisor
from dmsinit.supervisor.handover import VERSION, Handover
from dmsinit.supervisor.supervisor import resident_bytes

NOTHING: Final = Changes()

ADD_ACCOUNT: Final = "add one: setup email add USER@DOMAIN"

Verb = Literal["start", "stop", "restart", "reload"]


class Flow(Protocol):
    """What leads from the configuration to services: see configuration.Configuration and init.Init."""

    async def preview(self, mode: str) -> Rendered:
        """Render without installing: `--plan` or `--diff`. Raises as `apply`."""

    async def apply(self) -> Changes:
        """Carry the configuration out. Raises ProblemsFound, NoAccounts, OperationFailed."""

    async def reexec(self) -> None:
        """Become the installed program, soon after it returned. Raises OperationFailed."""


class System:
    """Implements control.Operations. The composition root moves `state` and fills `phases` and `problems`."""

    def __init__(self, supervisor: Supervisor, began: float, flow: Flow) -> None:
        self.supervisor = supervisor
        self._flow = flow
        self.open = False
        """Set by the boot: from then on the configuration can be changed, and the code of PID 1 be replaced."""
        self.began = began
        self.state: Literal["booting", "ready", "stopping"] = "booting"
        self.fqdn = ""
        self.executions = 1
        self.phases: list[Span] = []
        self.problems: list[str] = []
        self.account_deadline: float | None = None
        """Until when (monotonic) the boot waits for the first mail account; None while it does not."""
        self.boot_ended: float | None = None
        self.booted = asyncio.Event()
        """Set when the boot is over: everything is up, or as far up as it gets by itself."""
        self._warnings: list[str] = []
        self._unseen: dict[str, None] = {}
        self.applies = Applies()
        self.clients: set[socket.socket] = set()
        observation = Observation(supervisor, self)
        self._metrics = Metrics(observation, version=__version__, release=os.environ.get("DMS_RELEASE", ""))

    # Asking

    def status(self) -> Status:
        """Return the state of the system and of all services."""
        ready, missing = self.readyz()
        return Status(
            state="degraded" if self.state == "ready" and not ready else self.state,
            ready=ready,
            services=self.supervisor.statuses(),
            fqdn=self.fqdn,
            version=__version__,
            release=self.supervisor.plan.release if self.supervisor.plan else "",
            uptime_seconds=round(time.monotonic() - self.began, 3),
            problems=[*self.problems, *(missing if self.state == "ready" else missing[1:])],
            memory_bytes=resident_bytes(os.getpid()),
            executions=self.executions,
            event_loop="pidfd" if self.supervisor.runtime.children.pidfds else "sigchld",
        )

    def service(self, name: str) -> ServiceStatus:
        return self.supervisor.status(name)

    def log_lines(self, name: str, lines: int) -> Sequence[str]:
        return self.supervisor.unit(name).tree.output.tail(lines)

    def follow_log(self, name: str, lines: int) -> AsyncIterator[str]:
        return self.supervisor.unit(name).tree.output.follow(lines)

    def events(self, limit: int) -> Sequence[Event]:
        return list(self.supervisor.runtime.events.recent)[-limit:] if limit else []

    def follow_events(self, limit: int) -> AsyncIterator[Event]:
        return self.supervisor.runtime.events.follow(limit)

    def blame(self) -> Sequence[Span]:
        """Return the stretches of the boot in seconds since PID 1 began."""
        units = self.supervisor.units.values()
        kinds = {unit.name: "late" for unit in units if unit.service.late or self._came_later(unit.span)}
        spans = [unit.span for unit in self.supervisor.units.values() if unit.span.spawned is not None]
        return [self._since_began(span, kinds.get(span.name, span.kind)) for span in [*self.phases, *spans]]

    def _came_later(self, span: Span) -> bool:
        """Return whether a service was added, or switched on, when the boot was over: it explains nothing of that."""
        return span.spawned is not None and self.boot_ended is not None and span.spawned > self.boot_ended

    def boot_is_over(self) -> None:
        """Let those go on who wait for the end of the boot."""
        if self.boot_ended is None:
            self.boot_ended = time.monotonic()
        self.booted.set()

    def _since_began(self, span: Span, kind: str) -> Span:
        def since(moment: float | None) -> float | None:
            return None if moment is None else round(moment - self.began, 6)

        return msgspec.structs.replace(
            span, kind=kind, began=since(span.began), spawned=since(span.spawned), ended=since(span.ended)
        )

    def plan(self) -> Plan | None:
        return self.supervisor.plan

    def livez(self) -> tuple[bool, Sequence[str]]:
        return True, ()

    def readyz(self) -> tuple[bool, Sequence[str]]:
        """Return whether every enabled service is ready that has to be, and what is missing, a sentence each."""
        whole = self.supervisor.whole
        units = (*whole.missing(), *whole.late_but_down())
        if self.state != "ready":
            ill = [_missing(unit.status(None, 0)) for unit in units if unit.restarts]
            return False, [f"the server is {self.state}", *self._awaited(), *ill]
        missing = [_missing(unit.status(None, 0)) for unit in units]
        return not missing, missing

    def _awaited(self) -> Sequence[str]:
        """Return what a person has to do before the boot goes on."""
        if self.account_deadline is None:
            return ()
        left = max(0.0, self.account_deadline - time.monotonic())
        until = time.strftime("%H:%M:%S %Z", time.localtime(time.time() + left))
        return (f"waiting for the first mail account until {until}, another {left:.0f} s; {ADD_ACCOUNT}",)

    # Operating

    async def operate(self, name: str, verb: Verb, *, wait: bool) -> ServiceStatus:
        return await self.supervisor.operate(name, verb, wait=wait)

    async def signal(self, name: str, signal: str) -> ServiceStatus:
        return self.supervisor.signal(name, signal)

    async def plan_changes(self, *, diff: bool) -> Changes:
        """Return what an apply would change. While the server boots, the boot itself is the apply: nothing."""
        if not self.open or self.state == "booting":
            return NOTHING
        rendered = await self._flow.preview("--diff" if diff else "--plan")
        todo, _ = self.supervisor.to_do(rendered.plan, rendered.changes, asked=True)
        diffs = rendered.diffs if diff else msgspec.UNSET
        return Changes(changes=rendered.changes, actions=todo, diffs=diffs)

    async def apply(self, *, dry_run: bool, wait: bool) -> Changes:
        """Run the flow again: render, validate, install, converge."""
        if wait and not dry_run:
            await self.booted.wait()
        if self.state == "stopping":
            raise OperationFailed("cannot apply the configuration: the server is stopping")
        if dry_run or not self.open or not self.booted.is_set():
            return await self.plan_changes(diff=False)
        return await self._flow.apply()

    async def reexec(self) -> None:
        """Replace the code of PID 1 in place. Raises OperationFailed, during the boot NotYet."""
        if not self.open:
            raise NotYet("cannot re-execute dmsinit: the server is still booting; try again when it is up")
        await self._flow.reexec()

    def warnings(self, *, unseen: bool) -> Sequence[str]:
        shown = [text for text in self._warnings if not unseen or text in self._unseen]
        self._unseen = {}
        return shown

    def warned(self, warnings: Sequence[Warned]) -> None:
        """Take all warnings of an apply."""
        self._warnings = [warning.text for warning in warnings]
        self._unseen |= {warning.text: None for warning in warnings if warning.new}

    @contextmanager
    def applying(self) -> Iterator[None]:
        """Note what becomes of the apply that is carried out inside, and how long it takes."""
        began, applies = time.monotonic(), self.applies
        failed = True
        try:
            yield
            failed = False
            applies.success += 1
            applies.in_force = True
        except (Unchanged, asyncio.CancelledError):
            failed = False
            raise
        except (ProblemsFound, NoAccounts):
            failed = False
            applies.invalid += 1
            applies.in_force = False
            raise
        finally:
            if failed:
                applies.failed += 1
                applies.in_force = False
            applies.last_seconds = time.monotonic() - began

    # Across a re-execution

    def hand_over(self) -> Handover:
        """Return what a successor has to know; nothing may run here after that."""
        supervisor = self.supervisor
        if supervisor.plan is None:
            raise OperationFailed("cannot re-execute dmsinit: the server is still booting")
        events = supervisor.runtime.events
        return Handover(
            version=VERSION,
            plan=supervisor.plan,
            executions=self.executions,
            began=self.began,
            fqdn=self.fqdn,
            state=self.state,
            up=supervisor.runtime.up,
            phases=self.phases,
            units=supervisor.hand_over(),
            events=list(events.recent),
            counts=[(*key, count) for key, count in events.counts.items()],
            applies=self.applies,
            problems=self.problems,
            boot_ended=self.boot_ended,
        )

    def take_over(self, given: Handover) -> None:
        """Go on where a predecessor stood."""
        self.executions = given.executions + 1
        self.began, self.fqdn, self.phases = given.began, given.fqdn, given.phases
        self.applies, self.problems = given.applies, given.problems
        self.state = "ready" if given.state == "ready" else "booting"
        events = self.supervisor.runtime.events
        events.recent.extend(given.events)
        events.counts.update({(service, to, reason): count for service, to, reason, count in given.counts})
        self.supervisor.runtime.up = given.up
        self.boot_ended = given.boot_ended
        if given.up:
            self.boot_is_over()
        self.supervisor.take_over(given.plan, given.units)

    async def metrics(self, *, openmetrics: bool) -> bytes:
        """Return all metrics as text."""
        return await self._metrics.render(openmetrics=openmetrics)


def _missing(service: ServiceStatus) -> str:
    sentence = f"{service.name} is {service.state}"
    if service.waiting_for:
        return f"{sentence} for {', '.join(service.waiting_for)}"
    return f"{sentence}: {service.detail}" if service.detail else sentence
