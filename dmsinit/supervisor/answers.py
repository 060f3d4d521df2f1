"""Does a service answer? Asked until it does (readiness), and then for ever (health)."""

from collections.abc import Callable
from typing import Final

import anyio

from dmsinit.plan import Health, Probe, Readiness
from dmsinit.probes import CannotAsk, ProbeFailed, ask
from dmsinit.supervisor.notify import Notices
from dmsinit.supervisor.world import World

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


class Answers:
    """The probes of one service; `last_seconds` is how long the last good answer took."""

    def __init__(self, world: World, notices: Notices) -> None:
        self.last_seconds: float | None = None
        self._world = world
        self._notices = notices

    async def at_last(self, ready: Readiness) -> str | None:
        """Ask until the answer is right; return None then, or the last problem when the time is up."""
        if ready.probe.kind == "process":
            return None
        problem, clock = "no answer", self._world.clock
        began = clock()
        with anyio.move_on_after(ready.timeout_seconds):
            if ready.probe.kind == "notify":
                await self._notices.ready.wait()
                return None
            while True:
                asked = clock()
                try:
                    now = await self._problem(ready.probe)
                except CannotAsk as error:
                    now = str(error)
                if now is None:
                    return None
                problem = now
                await anyio.sleep(until_asked_again(clock() - began, clock() - asked))
        return problem

    async def no_more(self, health: Health | None, tell: Callable[[str | None], None]) -> str:
        """Ask for ever, `tell` each result; return what was wrong when it failed too often in a row."""
        failures = 0
        while health is not None:
            now = self._world.clock()
            due = now + until_next(health, now)
            await anyio.sleep(due - now)
            self._world.lag.note(self._world.clock() - due)
            try:
                problem = await self._problem(health.probe)
            except CannotAsk:
                continue  # that says nothing about the service
            tell(problem)
            failures = 0 if problem is None else failures + 1
            if failures >= health.failures:
                return f"{failures} health probes in a row failed, the last: {problem}"
        await anyio.sleep_forever()
        return ""

    async def _problem(self, probe: Probe) -> str | None:
        if probe.kind == "notify":
            return None if self._notices.was_alive() else "no WATCHDOG=1 came"
        began = self._world.clock()
        try:
            await ask(probe, self._world.run)
        except ProbeFailed as error:
            return str(error)
        self.last_seconds = self._world.clock() - began
        return None
