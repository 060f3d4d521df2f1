"""What there is to say of each service: its state, how often it started and ended, and what its processes use."""

from collections.abc import Mapping, Sequence
from typing import Final

from dmsinit.metrics._prometheus import CounterMetricFamily, GaugeMetricFamily, Metric
from dmsinit.metrics.families import counters, gauges
from dmsinit.metrics.process import Usage
from dmsinit.metrics.source import Logged
from dmsinit.supervisor.states import COMPLETE, Reason, State
from dmsinit.supervisor.status import ServiceStatus

RESTART_REASONS: Final = tuple(reason.value for reason in Reason if reason not in (Reason.BOOT, Reason.SHUTDOWN))
EXIT_REASONS: Final = tuple(reason.value for reason in Reason if reason is not Reason.BOOT)
Counts = Mapping[tuple[str, str], int]
"""(service, reason) → how often."""


def states(services: Sequence[ServiceStatus]) -> Sequence[Metric]:
    """Return the states of all services, the disabled ones included."""
    state = GaugeMetricFamily("dms_service_state", "1 for the state that a service is in.", labels=["service", "state"])
    for one in services:
        for name in State:
            state.add_metric([one.name, name.value], float(one.state == name))
    up = {one.name: float(one.state in COMPLETE) for one in services}
    ready = {one.name: one.ready_seconds or 0.0 for one in services if one.enabled}
    return [
        state,
        gauges("dms_service_up", "Whether a service is ready, busy or reloading.", "service", up),
        gauges("dms_service_ready_seconds", "From the last start to readiness.", "service", ready),
    ]


def counts(names: Sequence[str], restarts: Counts, exits: Counts) -> Sequence[Metric]:
    """Return how often the services `names` started and ended, and why; what happened to others before counts too."""
    killed = dict.fromkeys(names, 0.0)
    killed |= {name: float(count) for (name, reason), count in exits.items() if reason == Reason.OOM_KILLED}
    return [
        _counted("dms_service_restarts", "Starts after the first.", names, RESTART_REASONS, restarts),
        _counted("dms_service_exits", "Ends of the main process.", names, EXIT_REASONS, exits),
        counters("dms_oom_kills", "Ends of the main process by the kernel's OOM killer.", "service", killed),
    ]


def busy(names: Sequence[str], counted: Mapping[str, int]) -> Metric:
    """Return how often the services `names` were too busy to answer."""
    text = "Times that a service was at work and did not answer its health probe."
    return counters("dms_service_busy", text, "service", {name: float(counted.get(name, 0)) for name in names})


def _counted(name: str, text: str, names: Sequence[str], reasons: Sequence[str], counted: Counts) -> Metric:
    family = CounterMetricFamily(name, text, labels=["service", "reason"])
    known = dict.fromkeys(((service, reason) for service in names for reason in reasons), 0)
    for (service, reason), count in sorted((known | dict(counted)).items()):
        family.add_metric([service, reason], count)
    return family


def resources(used: Mapping[str, Usage], cpu_seconds: Mapping[str, float]) -> Sequence[Metric]:
    """Return what each service's processes use."""
    processes = {name: one.processes for name, one in used.items()}
    descriptors = {name: one.fds for name, one in used.items()}
    return [
        _memory(used),
        counters("dms_service_cpu_seconds", "CPU time of a service's processes.", "service", cpu_seconds),
        gauges("dms_service_processes", "Processes of a service.", "service", processes),
        gauges("dms_service_open_fds", "Open file descriptors of a service's processes.", "service", descriptors),
    ]


def _memory(used: Mapping[str, Usage]) -> Metric:
    text = "Memory of a service's processes; kind pss only where the kernel lets it be read (CAP_SYS_PTRACE)."
    family = GaugeMetricFamily("dms_service_memory_bytes", text, labels=["service", "kind"])
    for name, one in used.items():
        family.add_metric([name, "rss"], one.rss)
        family.add_metric([name, "swap"], one.swap)
        if one.pss is not None:
            family.add_metric([name, "pss"], one.pss)
    return family


def logs(names: Sequence[str], logged: Mapping[str, Logged]) -> Sequence[Metric]:
    """Return how much the services write on their standard output and error."""
    outputs = {name: logged.get(name, Logged(0, 0)) for name in names}
    written = {name: output.written for name, output in outputs.items()}
    lost = {name: output.lost for name, output in outputs.items()}
    return [
        counters("dms_service_log_bytes", "What a service wrote on its standard output and error.", "service", written),
        counters("dms_service_log_lost_bytes", "What of that its log file could not take.", "service", lost),
    ]
