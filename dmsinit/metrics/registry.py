"""All metrics of dmsinit, made anew at each scrape from what the supervisor and the kernel know at that moment.

Every known label set is there from the start, at 0. A scrape starts no process, and gives way to the supervisor after
each service.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence

from dmsinit.base import cgroup
from dmsinit.metrics import bans, exposition, services, system
from dmsinit.metrics._prometheus import Metric
from dmsinit.metrics.clamav import Clamav
from dmsinit.metrics.process import CpuCounters, Pss, Usage, usage
from dmsinit.metrics.source import Source


class Metrics:
    """The metrics of one running system; `version` and `release` label dms_build_info."""

    def __init__(self, source: Source, *, version: str, release: str) -> None:
        self._source = source
        self._build = {"version": version, "release": release}
        self._pss = Pss()
        self._cpu = CpuCounters()
        self._clamav = Clamav()
        self._hierarchy = cgroup.find()
        self._collecting: asyncio.Task[Sequence[Metric]] | None = None

    async def render(self, *, openmetrics: bool = False) -> bytes:
        """Return all metrics as text; scrapes that come while one is under way share its result."""
        if self._collecting is None:
            self._collecting = asyncio.ensure_future(self._collect())
            self._collecting.add_done_callback(self._collected)
        families = await asyncio.shield(self._collecting)
        return exposition.openmetrics(families) if openmetrics else exposition.prometheus(families)

    def _collected(self, _task: asyncio.Task[Sequence[Metric]]) -> None:
        self._collecting = None

    async def _collect(self) -> Sequence[Metric]:
        source = self._source
        found = sorted(source.services(), key=lambda one: one.name)
        names = [one.name for one in found if one.enabled]
        used = await self._usage(names)
        cpu_seconds = self._cpu.advance({name: one.cpu_seconds for name, one in used.items()})
        scanner = source.scanner()
        scanner_bytes = used[scanner.name].rss if scanner is not None and scanner.name in used else 0
        return [
            system.build_info(self._build),
            *system.dmsinit(source),
            *services.states(found),
            *services.counts(names, source.restarts(), source.exits()),
            services.busy(names, source.busy()),
            *services.resources(used, {name: cpu_seconds[name] for name in names}),
            *services.logs(names, source.logged()),
            *system.container(self._hierarchy),
            *system.boot(source),
            *system.milters(source),
            *self._clamav.families(scanner, scanner_bytes),
            *bans.families(),
            *system.configuration(source),
        ]

    async def _usage(self, names: Sequence[str]) -> Mapping[str, Usage]:
        """Return what each service's processes use, and see meanwhile how soon the event loop comes back to us."""
        pids = self._source.pids()
        self._pss.refresh(pid for name in names for pid in pids.get(name, ()))
        used: dict[str, Usage] = {}
        for name in names:
            used[name] = usage(pids.get(name, ()), self._pss)
            began = time.monotonic()
            await asyncio.sleep(0)  # the supervisor first
            self._source.lag.note(time.monotonic() - began)
        return used
