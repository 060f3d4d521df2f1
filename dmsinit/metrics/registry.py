"""All metrics of dmsinit, made anew at each scrape from what the supervisor and the kernel know at that moment.

Every known label set is there from the start, at 0. A scrape starts no process, and gives way to the supervisor after
each service.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from dmsinit.metrics import cgroup, exposition
from dmsinit.metrics._prometheus import CounterMetricFamily, GaugeMetricFamily, Metric
from dmsinit.metrics.process import CpuCounters, Pss, Usage, usage
from dmsinit.metrics.source import Source
from dmsinit.supervisor.states import Reason, State
from dmsinit.supervisor.status import ServiceStatus

RESTART_REASONS: Final = tuple(reason.value for reason in Reason if reason not in (Reason.BOOT, Reason.SHUTDOWN))
EXIT_REASONS: Final = tuple(reason.value for reason in Reason if reason is not Reason.BOOT)
_UP: Final = frozenset({State.READY, State.RELOADING})


class Metrics:
    """The metrics of one running system; `version` and `release` label dms_build_info."""

    def __init__(self, source: Source, *, version: str, release: str) -> None:
        self._source = source
        self._build = {"version": version, "release": release}
        self._pss = Pss()
        self._cpu = CpuCounters()
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
        services = sorted(source.services(), key=lambda one: one.name)
        enabled = [one.name for one in services if one.enabled]
        return [
            _build_info(self._build),
            *_states(services),
            _counts("dms_service_restarts", "Starts after the first.", enabled, RESTART_REASONS, source.restarts()),
            _counts("dms_service_exits", "Ends of the main process.", enabled, EXIT_REASONS, source.exits()),
            *await self._usage(enabled),
            *self._container(),
            *_boot(source),
            *_milters(source),
            *_volume(source),
        ]

    async def _usage(self, names: Sequence[str]) -> Sequence[Metric]:
        """Return what each service's processes use."""
        pids = self._source.pids()
        self._pss.refresh(pid for name in names for pid in pids.get(name, ()))
        used: dict[str, Usage] = {}
        for name in names:
            used[name] = usage(pids.get(name, ()), self._pss)
            await asyncio.sleep(0)  # the supervisor first
        cpu = self._cpu.advance({name: one.cpu_seconds for name, one in used.items()})
        return [
            _memory(used),
            _counter(
                "dms_service_cpu_seconds", "CPU time of a service's processes.", {name: cpu[name] for name in names}
            ),
            _gauge("dms_service_processes", "Processes of a service.", used, lambda one: one.processes),
            _gauge(
                "dms_service_open_fds", "Open file descriptors of a service's processes.", used, lambda one: one.fds
            ),
        ]

    def _container(self) -> Sequence[Metric]:
        memory = cgroup.read(self._hierarchy) if self._hierarchy is not None else None
        if memory is None:
            return []
        return [
            _single("dms_container_memory_usage_bytes", "Memory of the container, file cache included.", memory.usage),
            _single(
                "dms_container_memory_working_set_bytes",
                "Memory of the container without file cache that the kernel can drop at once.",
                memory.working_set,
            ),
            _single("dms_container_memory_limit_bytes", "Memory limit of the container, +Inf if none.", memory.limit),
        ]  # fmt: skip


def _build_info(build: Mapping[str, str]) -> Metric:
    family = GaugeMetricFamily("dms_build_info", "The versions that run; always 1.", labels=list(build))
    family.add_metric(list(build.values()), 1)
    return family


def _states(services: Sequence[ServiceStatus]) -> Sequence[Metric]:
    state = GaugeMetricFamily("dms_service_state", "1 for the state that a service is in.", labels=["service", "state"])
    up = GaugeMetricFamily("dms_service_up", "Whether a service is ready.", labels=["service"])
    ready = GaugeMetricFamily("dms_service_ready_seconds", "From the last start to readiness.", labels=["service"])
    for one in services:
        for name in State:
            state.add_metric([one.name, name.value], float(one.state == name))
        up.add_metric([one.name], float(one.state in _UP))
        if one.enabled:
            ready.add_metric([one.name], one.ready_seconds or 0.0)
    return [state, up, ready]


def _counts(
    name: str,
    text: str,
    services: Sequence[str],
    reasons: Sequence[str],
    counted: Mapping[tuple[str, str], int],
) -> Metric:
    family = CounterMetricFamily(name, text, labels=["service", "reason"])
    known = dict.fromkeys(((service, reason) for service in services for reason in reasons), 0)
    for (service, reason), count in sorted((known | dict(counted)).items()):
        family.add_metric([service, reason], count)
    return family


def _memory(used: Mapping[str, Usage]) -> Metric:
    text = "Memory of a service's processes; kind pss only where the kernel lets it be read (CAP_SYS_PTRACE)."
    family = GaugeMetricFamily("dms_service_memory_bytes", text, labels=["service", "kind"])
    for name, one in used.items():
        family.add_metric([name, "rss"], one.rss)
        family.add_metric([name, "swap"], one.swap)
        if one.pss is not None:
            family.add_metric([name, "pss"], one.pss)
    return family


def _boot(source: Source) -> Sequence[Metric]:
    family = GaugeMetricFamily("dms_boot_phase_seconds", "Duration of each phase of the boot.", labels=["phase"])
    for span in source.spans():
        if span.kind == "phase" and span.ended is not None:
            family.add_metric([span.name], span.ended - span.began)
    return [family]


def _milters(source: Source) -> Sequence[Metric]:
    up = GaugeMetricFamily("dms_milter_up", "Whether a milter answered its last option negotiation.", labels=["milter"])
    seconds = GaugeMetricFamily(
        "dms_milter_handshake_seconds", "Duration of a milter's last successful option negotiation.", labels=["milter"]
    )
    for name, milter in sorted(source.milters().items()):
        up.add_metric([name], float(milter.up))
        seconds.add_metric([name], milter.handshake_seconds or 0.0)
    return [up, seconds]


def _volume(source: Source) -> Sequence[Metric]:
    counted = (
        ("dms_accounts", "Mail accounts in the config volume.", source.accounts()),
        ("dms_aliases", "Virtual aliases in the config volume.", source.aliases()),
    )
    return [_single(name, text, count) for name, text, count in counted if count is not None]


def _single(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _gauge(name: str, text: str, used: Mapping[str, Usage], value: Callable[[Usage], float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["service"])
    for service, one in used.items():
        family.add_metric([service], value(one))
    return family


def _counter(name: str, text: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(name, text, labels=["service"])
    for service, value in values.items():
        family.add_metric([service], value)
    return family
