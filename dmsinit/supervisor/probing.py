"""Does a service answer? Asked until it does (readiness), and then for ever (health)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import anyio

from dmsinit.plan import Health, Probe, Readiness
from dmsinit.probes import CannotAsk, NoAnswer, ProbeFailed, ask
from dmsinit.supervisor.notify import Notices
from dmsinit.supervisor.output import Output
from dmsinit.supervisor.progress import Sample, progress
from dmsinit.supervisor.runtime import Runtime

_FIRST_PAUSE_SECONDS: Final = 0.002
_LONGEST_PAUSE_SECONDS: Final = 0.1
_PAUSE_SHARE: Final = 0.05
"""A pause between readiness probes is this part of the time that has passed, within the two bounds: however long a
daemon takes, its answer is noticed at most 5 % late. It is never shorter than the last question took, so that a probe
that is a command does not keep a core from the daemon that it waits for."""


def until_asked_again(waited: float, asking: float) -> float:
    """Return the pause in seconds before the next readiness probe; the last one took `asking` seconds."""
    return min(max(_FIRST_PAUSE_SECONDS, asking, waited * _PAUSE_SHARE), _LONGEST_PAUSE_SECONDS)


def until_next(health: Health, now: float) -> float:
    """Return the seconds from `now` to the next health probe: the interval, shortened by at most a third of it.

    Moments are shared: services of one interval are asked on the same thirds of it, so that PID 1 wakes up three times
    an interval and not once for each service. Only a watchdog's time is its own, since the service was told it.
    """
    if health.probe.kind == "notify":
        return health.interval_seconds
    return health.interval_seconds - (now + health.interval_seconds) % (health.interval_seconds / 3)


_FIRST_LOOK_SHARE: Final = 0.25
"""After this part of the time that an answer may take, the service is looked at for the first time: late enough that
one that answers costs nothing, early enough to see what it does until the time is up."""

Explain = Callable[[float], Awaitable[str]]
"""Returns the last error that a service has logged within so many seconds, or nothing."""


async def _unexplained(seconds: float) -> str:
    return ""


_RECENT_SECONDS: Final = 60.0
"""An error that was logged that long before a health probe failed has to do with it."""
Tell = Callable[[str | None, str], bool]
"""Takes the result of a health probe: None or what was wrong, and what the service does although it gives no answer.
Returns whether a failure counts."""


class _Silence:
    """A row of failed probes: since when, how many count, and what the service did between the last two looks at it."""

    def __init__(self) -> None:
        self.since: float | None = None
        self.failures = 0
        self.work = ""
        self._last: Sample | None = None

    def first(self, look: Callable[[], Sample]) -> None:
        """Look at the service, unless a probe that failed before has."""
        if self._last is None:
            self._last = look()

    def note(self, now: Sample | None) -> None:
        """Compare with the look before; None after an answer that was wrong: no work excuses that."""
        self.work = progress(self._last, now) if self._last is not None and now is not None else ""
        self._last = now


class Answers:
    """The probes of one service; `last_seconds` is how long the last good answer took.

    `look` tells what the processes of the service have done so far; `foreign` why an answer, which came from the
    processes that are given, is somebody else's; `explain` what the service has logged that went wrong. What a command
    that asks for health writes goes to `output`.
    """

    def __init__(
        self,
        runtime: Runtime,
        notices: Notices,
        look: Callable[[], Sample],
        foreign: Callable[[Probe, Sequence[int]], str] = lambda probe, peers: "",
        explain: Explain = _unexplained,
        output: Output | None = None,
    ) -> None:
        self.last_seconds: float | None = None
        self._runtime = runtime
        self._notices = notices
        self._look = look
        self._foreign = foreign
        self._explain = explain
        self._output = output

    async def at_last(self, ready: Readiness) -> str | None:
        """Ask until the answer is right; return None then, or the last problem when the time is up."""
        if ready.probe.kind == "process":
            return None
        problem, clock = "no answer", self._runtime.clock
        began = clock()
        with anyio.move_on_after(ready.timeout_seconds):
            if ready.probe.kind == "notify":
                await self._notices.ready.wait()
                return None
            while True:
                asked = clock()
                try:
                    now, _ = await self._problem(ready.probe)
                except CannotAsk as error:
                    now = str(error)
                if now is None:
                    return None
                problem = now
                await anyio.sleep(until_asked_again(clock() - began, clock() - asked))
        return await self._explained(problem, clock() - began)

    async def _explained(self, problem: str, seconds: float) -> str:
        """Return a problem with the last error that the service has logged within so many seconds, if any."""
        cause = await self._explain(seconds)
        return f"{problem}; last error: {cause}" if cause else problem

    async def no_more(self, health: Health | None, tell: Tell) -> str:
        """Ask for ever, `tell` each result; return what was wrong when it is time to end the service.

        That is when it failed too often in a row without doing anything, or was silent for too long at its work.
        """
        silence = _Silence()
        while health is not None:
            now = self._runtime.clock()
            due = now + until_next(health, now)
            await anyio.sleep(due - now)
            self._runtime.lag.note(self._runtime.clock() - due)
            try:
                problem = await self._attended(health.probe, silence)
            except CannotAsk:
                continue  # that says nothing about the service
            if problem is None:
                silence = _Silence()
                tell(None, "")
                continue
            counts = tell(problem, silence.work)
            silence.failures += counts and not silence.work
            if silence.failures >= health.failures:
                return f"{silence.failures} health probes in a row failed, the last: {problem}"
            lasted = self._runtime.clock() - silence.since if silence.since is not None else 0.0
            if counts and silence.work and lasted >= health.busy_timeout_seconds:
                return f"at work without an answer for {lasted:.0f} s, the last: {problem}"
        await anyio.sleep_forever()
        return ""

    async def _attended(self, probe: Probe, silence: _Silence) -> str | None:
        """Ask; where no answer comes, note in `silence` what the service has done meanwhile."""
        began = self._runtime.clock()
        look_at = asyncio.get_running_loop().call_later(
            probe.timeout_seconds * _FIRST_LOOK_SHARE, lambda: silence.first(self._look)
        )
        try:
            problem, silent = await self._problem(probe, self._output)
        finally:
            look_at.cancel()
        if problem is not None:
            silence.since = began if silence.since is None else silence.since
            silence.note(self._look() if silent else None)
            problem = await self._explained(problem, _RECENT_SECONDS)
        return problem

    async def _problem(self, probe: Probe, output: Output | None = None) -> tuple[str | None, bool]:
        """Return what was wrong, if anything, and whether there was no answer at all."""
        if probe.kind == "notify":
            return (None, False) if self._notices.was_alive() else ("no WATCHDOG=1 came", False)
        began = self._runtime.clock()
        try:
            peers = await ask(probe, lambda argv: self._runtime.run(argv, output), self._runtime.reach)
        except ProbeFailed as error:
            return str(error), isinstance(error, NoAnswer)
        if problem := self._foreign(probe, peers):
            return problem, False
        self.last_seconds = self._runtime.clock() - began
        return None, False
