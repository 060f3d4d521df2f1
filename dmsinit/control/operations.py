"""What the control server can ask of the running system; the composition root implements it.

Plain methods answer at once from memory. Coroutines may take long; the server never cancels `operate`, `signal` and
`apply` when a client goes away, because half a restart helps nobody.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from dmsinit.plan import Action, Change, Plan
from dmsinit.supervisor.status import Event, ServiceStatus, Span

Verb = Literal["start", "stop", "restart", "reload"]
VERBS: tuple[Verb, ...] = ("start", "stop", "restart", "reload")


class Status(msgspec.Struct, kw_only=True):
    """The whole system at one moment: the answer to `GET /v1/status`. Fields are added, never renamed.

    `ready` is what /readyz says; `problems` are sentences for people; `memory_bytes` is the RSS of PID 1 itself.
    """

    state: Literal["booting", "ready", "degraded", "stopping"]
    ready: bool
    services: Sequence[ServiceStatus]
    fqdn: str
    version: str
    release: str
    uptime_seconds: float
    problems: Sequence[str] = ()
    memory_bytes: int | None = None
    executions: int = 1
    """How many programs PID 1 has been since the container started: one more after each re-execution."""
    event_loop: str = ""
    """How children are waited for: `pidfd`, or `sigchld` where pidfds are blocked."""


class Changes(msgspec.Struct, kw_only=True):
    """What an apply would do, or did: the answer to `GET /v1/plan`.

    `diffs` is there only when it was asked for: a unified diff for each path that differs.
    """

    changes: Sequence[Change] = ()
    actions: Sequence[Action] = ()
    diffs: Mapping[str, str] | msgspec.UnsetType = msgspec.UNSET


class Applied(msgspec.Struct, kw_only=True):
    """The answer to `POST /v1/apply`: what was done, and the warnings of the configuration in force."""

    changes: Sequence[Change]
    actions: Sequence[Action]
    warnings: Sequence[str] = ()


class NotYet(Exception):
    """It is not possible during the boot; the message is for people."""


class Operations(Protocol):
    """Everything that the control API and the metrics port offer.

    Where a service is named, NoSuchService says that it does not exist; OperationFailed says why a goal was not
    reached; ProblemsFound says what is wrong with the configuration.
    """

    def status(self) -> Status:
        """Return the state of the system and of all services, the disabled ones included."""

    def service(self, name: str) -> ServiceStatus:
        """Return one service. Raises NoSuchService."""

    async def operate(self, name: str, verb: Verb, *, wait: bool) -> ServiceStatus:
        """Start, stop, restart or reload a service; with `wait`, return when it is ready (or stopped).

        Raises NoSuchService and OperationFailed.
        """

    async def signal(self, name: str, signal: str) -> ServiceStatus:
        """Send a signal (name without SIG, or number) to a service's main process.

        Raises NoSuchService, and OperationFailed when no process runs or no such signal exists.
        """

    def log_lines(self, name: str, lines: int) -> Sequence[str]:
        """Return up to `lines` of the last log lines of a service, oldest first. Raises NoSuchService."""

    def follow_log(self, name: str, lines: int) -> AsyncIterator[str]:
        """Yield the last `lines` log lines, then each new one, for ever. Raises NoSuchService at the first step.

        It is closed (`aclose`) when the client goes away; a slow reader must not make it hold more than a bounded
        number of lines.
        """

    def events(self, limit: int) -> Sequence[Event]:
        """Return up to `limit` of the last transitions, oldest first."""

    def follow_events(self, limit: int) -> AsyncIterator[Event]:
        """Yield up to `limit` of the last transitions, then each new one, for ever; closed like `follow_log`."""

    def blame(self) -> Sequence[Span]:
        """Return the stretches of the boot, phases and services."""

    def plan(self) -> Plan | None:
        """Return the plan in force; None before the first one."""

    async def plan_changes(self, *, diff: bool) -> Changes:
        """Return what apply would do, with `diff` also line by line. Raises ProblemsFound and OperationFailed."""

    async def apply(self, *, dry_run: bool, wait: bool) -> Changes:
        """Carry out what `plan_changes` tells, and return it. Raises ProblemsFound and OperationFailed.

        With `wait`, an apply that is asked for during the boot is carried out when the server is up; without, the boot
        is the apply, and nothing is returned.
        """

    async def reexec(self) -> None:
        """Replace the code of PID 1 in place, soon after it returned.

        Raises NotYet during the boot, OperationFailed when the installed code cannot take over.
        """

    def warnings(self, *, unseen: bool) -> Sequence[str]:
        """Return the warnings of the last apply, or only those that came up since somebody asked for them."""

    def livez(self) -> tuple[bool, Sequence[str]]:
        """Return whether dmsinit itself works, and if not, why."""

    def readyz(self) -> tuple[bool, Sequence[str]]:
        """Return whether mail can be served, and if not, what is missing, one sentence each."""

    async def metrics(self, *, openmetrics: bool) -> bytes:
        """Return all metrics as OpenMetrics 1.0 or in the Prometheus text format 0.0.4."""
