"""What there is to say of dmsinit itself, of the container, and of the configuration."""

import math
import os
import resource
from collections.abc import Mapping, Sequence
from typing import Final

from dmsinit.base import cgroup
from dmsinit.metrics._prometheus import GaugeMetricFamily, Metric
from dmsinit.metrics.families import counter, counters, gauge, gauges
from dmsinit.metrics.process import Pss, usage
from dmsinit.metrics.source import Source

_NO_PSS: Final = Pss()


def build_info(build: Mapping[str, str]) -> Metric:
    """Return the versions, as labels."""
    family = GaugeMetricFamily("dms_build_info", "The versions that run; always 1.", labels=list(build))
    family.add_metric(list(build.values()), 1)
    return family


def dmsinit(source: Source) -> Sequence[Metric]:
    """Return what PID 1 uses, and how well it gets on."""
    own, times = usage([os.getpid()], _NO_PSS), os.times()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return [
        gauge("dms_ready", "Whether every enabled service is ready, as /readyz says.", float(source.ready())),
        gauge("dms_process_start_time_seconds", "When the container started (Unix time).", source.started_at()),
        gauge("dms_process_resident_memory_bytes", "Memory of dmsinit itself.", own.rss),
        counter("dms_process_cpu_seconds", "CPU time of dmsinit itself.", times.user + times.system),
        gauge("dms_process_open_fds", "Open file descriptors of dmsinit itself.", own.fds),
        gauge(
            "dms_process_max_fds", "How many dmsinit may open.", math.inf if limit == resource.RLIM_INFINITY else limit
        ),
        gauge(
            "dms_event_loop_lag_seconds",
            "Longest delay of a due callback of dmsinit seen in the last one to two minutes.",
            source.lag.longest(),
        ),
        gauge("dms_control_clients", "Clients of the control socket now.", source.control_clients()),
    ]


def container(hierarchy: cgroup.Hierarchy | None) -> Sequence[Metric]:
    """Return the container's memory; nothing where it is not counted."""
    families: list[Metric] = []
    memory = cgroup.read(hierarchy) if hierarchy is not None else None
    if memory is not None:
        families += [
            gauge("dms_container_memory_usage_bytes", "Memory of the container, file cache included.", memory.usage),
            gauge(
                "dms_container_memory_working_set_bytes",
                "Memory of the container without file cache that the kernel can drop at once.",
                memory.working_set,
            ),
            gauge("dms_container_memory_limit_bytes", "Memory limit of the container, +Inf if none.", memory.limit),
        ]
    kills = cgroup.oom_kills(hierarchy) if hierarchy is not None else None
    if kills is not None:
        text = "Processes of the container that the kernel's OOM killer ended, children of services included."
        families.append(counter("dms_container_oom_kills", text, kills))
    return families


def boot(source: Source) -> Sequence[Metric]:
    """Return how long each phase of the boot took."""
    phases = {
        span.name: span.ended - span.began for span in source.spans() if span.kind == "phase" and span.ended is not None
    }
    return [gauges("dms_boot_phase_seconds", "Duration of each phase of the boot.", "phase", phases)]


def milters(source: Source) -> Sequence[Metric]:
    """Return how the milters answered their last probe."""
    found = dict(sorted(source.milters().items()))
    up = {name: float(milter.up) for name, milter in found.items()}
    seconds = {name: milter.handshake_seconds or 0.0 for name, milter in found.items()}
    text = "Duration of a milter's last successful option negotiation."
    return [
        gauges("dms_milter_up", "Whether a milter answered its last option negotiation.", "milter", up),
        gauges("dms_milter_handshake_seconds", text, "milter", seconds),
    ]


def configuration(source: Source) -> Sequence[Metric]:
    """Return what became of changes, what the config volume holds, and when certificates expire."""
    applies = source.applies()
    results = {"success": applies.success, "invalid": applies.invalid, "failed": applies.failed}
    counted = (
        ("dms_accounts", "Mail accounts in the config volume.", source.accounts()),
        ("dms_aliases", "Virtual aliases in the config volume.", source.aliases()),
    )
    return [
        counters("dms_apply", "Changes of the configuration that were applied or refused.", "result", results),
        gauge("dms_apply_duration_seconds", "How long the last apply took.", applies.last_seconds),
        gauge(
            "dms_configuration_in_force",
            "Whether the last change of the configuration is in force.",
            float(applies.in_force),
        ),
        gauges(
            "dms_tls_certificate_expiry_timestamp_seconds",
            "When a certificate of the server expires (Unix time).",
            "file",
            source.certificates(),
        ),
        *(gauge(name, text, count) for name, text, count in counted if count is not None),
    ]
