#!/usr/bin/env python3
"""The Grafana dashboard, as data: `tools/dashboard.py` prints what is in grafana/dmsinit.json.

The JSON is what people import; this is where it is changed. A panel is a line here and half a screen there, and the
places of all panels follow from their sizes.
"""

import json
from typing import Final

from panels import (
    SOURCE,
    Json,
    bars,
    graph,
    increase,
    metric,
    placed,
    rate,
    stat,
    table,
    timeline,
    value_words,
    variable,
    yes_no,
)

UNPLANNED: Final = 'reason!~"operator|config-changed|dependency|schedule|boot"'
UNSCHEDULED: Final = 'reason!="schedule"'
DOWN: Final = 'state=~"backoff|failed|stopped|unhealthy|starting|waiting"'
STATES: Final = {
    "ready": "green",
    "reloading": "blue",
    "busy": "yellow",
    "starting": "light-blue",
    "waiting": "light-yellow",
    "stopping": "purple",
    "stopped": "gray",
    "exited": "dark-gray",
    "backoff": "orange",
    "unhealthy": "dark-orange",
    "failed": "red",
}
"""Colour of each state; `disabled` services are not shown. A state's number in a query is its place here, from 1."""

STATE_NUMBER: Final = " or ".join(
    f"{number} * {metric('dms_service_state', state=state)}" for number, state in enumerate(STATES, 1)
)
STATE_WORDS: Final = {number: (state, color) for number, (state, color) in enumerate(STATES.items(), 1)}
SERVICE_STATE: Final = f"sum by (service) ({STATE_NUMBER}) > 0"
LIMIT: Final = f"{metric('dms_container_memory_limit_bytes')} < +Inf"
DAY: Final = 86400.0

NOW: Final = [
    stat("Server", metric("dms_ready"), text="Whether every enabled service is ready.", **yes_no("ready", "not ready")),
    stat("Up for", f"time() - {metric('dms_process_start_time_seconds')}", unit="dtdurations", decimals=0),
    stat(
        "Services down",
        f"count({metric('dms_service_state', DOWN)} == 1) or vector(0)",
        steps=[(None, "green"), (1, "red")],
    ),
    stat(
        "Crashes, 24 h",
        f"sum({increase('dms_service_restarts_total', UNPLANNED, over='24h')})",
        text="Restarts that nobody asked for.",
        decimals=0,
        steps=[(None, "green"), (1, "orange"), (10, "red")],
    ),
    stat(
        "OOM kills, 24 h",
        increase("dms_container_oom_kills_total", over="24h"),
        text="Processes that the kernel killed because the container's memory was full.",
        decimals=0,
        steps=[(None, "green"), (1, "red")],
    ),
    stat(
        "Certificate",
        f"min({metric('dms_tls_certificate_expiry_timestamp_seconds')}) - time()",
        text="Time until the first certificate expires.",
        unit="dtdurations",
        decimals=0,
        steps=[(None, "red"), (7 * DAY, "orange"), (21 * DAY, "green")],
    ),
    stat(
        "Configuration",
        metric("dms_configuration_in_force"),
        text="Whether the last change of the configuration was carried out.",
        **yes_no("in force", "refused"),
    ),
    stat("Accounts", metric("dms_accounts")),
]

SERVICES: Final = [
    timeline(
        "State of services",
        {"{{service}}": SERVICE_STATE},
        STATE_WORDS,
        size=(24, 10),
        text="Disabled services are left out. A periodic service is exited between its runs.",
    ),
    table(
        "Services in numbers",
        {
            "State": SERVICE_STATE,
            "Restarts, 24 h": f"sum by (service) ({increase('dms_service_restarts_total', over='24h')})",
            "Memory": f"sum by (service) ({metric('dms_service_memory_bytes', kind='rss')})",
            "CPU": f"sum by (service) (rate({metric('dms_service_cpu_seconds_total')}[5m]))",
            "Processes": f"sum by (service) ({metric('dms_service_processes')})",
            "Descriptors": f"sum by (service) ({metric('dms_service_open_fds')})",
            "Ready after": f"sum by (service) ({metric('dms_service_ready_seconds')})",
        },
        {
            "State": {
                "mappings": [value_words(STATE_WORDS)],
                "custom.cellOptions": {"mode": "basic", "type": "color-background"},
            },
            "Restarts, 24 h": {"decimals": 0},
            "Memory": {"unit": "bytes"},
            "CPU": {"unit": "percentunit"},
            "Ready after": {"unit": "s"},
        },
        size=(24, 10),
    ),
    graph(
        "Restarts by reason",
        {
            "{{service}}: {{reason}}": (
                f"sum by (service, reason) ({increase('dms_service_restarts_total', UNSCHEDULED)}) > 0"
            )
        },
        bars=True,
    ),
    graph(
        "Ends by reason",
        {
            "{{service}}: {{reason}}": (
                f"sum by (service, reason) ({increase('dms_service_exits_total', UNSCHEDULED)}) > 0"
            )
        },
        bars=True,
    ),
]

RESOURCES: Final = [
    graph(
        "Memory",
        {
            "{{service}}": f"sum by (service) ({metric('dms_service_memory_bytes', kind='rss')})",
            "container": metric("dms_container_memory_working_set_bytes"),
            "limit": LIMIT,
        },
        unit="bytes",
        stacked=True,
        lines=("container", "limit"),
        text="RSS of the services, stacked: memory that processes share counts for each of them. "
        "The container's own count, and its limit, are dashed.",
    ),
    graph(
        "CPU",
        {"{{service}}": f"sum by (service) ({rate('dms_service_cpu_seconds_total')})"},
        unit="percentunit",
        stacked=True,
        text="100 % is one processor.",
    ),
    graph("Processes", {"{{service}}": f"sum by (service) ({metric('dms_service_processes')})"}, size=(8, 8)),
    graph("Open descriptors", {"{{service}}": f"sum by (service) ({metric('dms_service_open_fds')})"}, size=(8, 8)),
    graph(
        "Output of services",
        {"{{service}}": f"sum by (service) ({rate('dms_service_log_bytes_total')})"},
        unit="Bps",
        size=(8, 8),
    ),
]

FILTERS: Final = [
    timeline(
        "Milters",
        {"{{milter}}": f"max by (milter) ({metric('dms_milter_up')})"},
        {1: ("answers", "green"), 0: ("does not answer", "red")},
        size=(8, 8),
    ),
    graph(
        "Milters: duration of the handshake",
        {"{{milter}}": f"max by (milter) ({metric('dms_milter_handshake_seconds')})"},
        unit="s",
        size=(8, 8),
    ),
    graph(
        "ClamAV: memory",
        {"clamd": metric("dms_clamav_memory_bytes"), "limit of the container": LIMIT},
        unit="bytes",
        lines=("limit of the container",),
        size=(8, 8),
        text="While clamd loads a new database, it may hold two of them.",
    ),
    graph("ClamAV: age of the database", {"age": metric("dms_clamav_database_age_seconds")}, unit="s", size=(8, 8)),
    graph(
        "OOM kills",
        {
            "{{service}}": f"sum by (service) ({increase('dms_oom_kills_total')}) > 0",
            "the whole container": f"{increase('dms_container_oom_kills_total')} > 0",
        },
        bars=True,
        size=(16, 8),
    ),
]

CONFIGURATION: Final = [
    bars(
        "Phases of the last boot",
        {"{{phase}}": f"max by (phase) ({metric('dms_boot_phase_seconds')})"},
        unit="s",
        decimals=3,
        size=(8, 9),
    ),
    bars(
        "From start to ready",
        {"{{service}}": f"sort_desc(max by (service) ({metric('dms_service_ready_seconds')}) > 0)"},
        unit="s",
        decimals=3,
        size=(8, 9),
    ),
    bars(
        "Certificates expire in",
        {"{{file}}": f"min by (file) ({metric('dms_tls_certificate_expiry_timestamp_seconds')}) - time()"},
        unit="dtdurations",
        decimals=0,
        steps=[(None, "red"), (7 * DAY, "orange"), (21 * DAY, "green")],
        size=(8, 9),
    ),
    graph("Applied changes", {"{{result}}": f"sum by (result) ({increase('dms_apply_total')})"}, bars=True),
    graph("Duration of the last apply", {"apply": metric("dms_apply_duration_seconds")}, unit="s", size=(6, 8)),
    graph(
        "Accounts and aliases",
        {"accounts": metric("dms_accounts"), "aliases": metric("dms_aliases")},
        size=(6, 8),
    ),
]

DMSINIT: Final = [
    graph("Memory of dmsinit", {"RSS": metric("dms_process_resident_memory_bytes")}, unit="bytes", size=(6, 7)),
    graph("CPU of dmsinit", {"CPU": rate("dms_process_cpu_seconds_total")}, unit="percentunit", size=(6, 7)),
    graph(
        "Event loop",
        {"longest delay": metric("dms_event_loop_lag_seconds")},
        unit="s",
        size=(6, 7),
        text="The longest delay that was seen in the last one to two minutes.",
    ),
    graph(
        "Descriptors and clients",
        {"descriptors": metric("dms_process_open_fds"), "clients": metric("dms_control_clients")},
        size=(6, 7),
    ),
]

ROWS: Final = {
    "": NOW,
    "Services": SERVICES,
    "Memory and CPU": RESOURCES,
    "Filters": FILTERS,
    "Boot, configuration, certificates": CONFIGURATION,
    "dmsinit": DMSINIT,
}


def dashboard() -> Json:
    source = {
        "current": {},
        "hide": 0,
        "includeAll": False,
        "label": "Data source",
        "multi": False,
        "name": "datasource",
        "options": [],
        "query": "prometheus",
        "refresh": 1,
        "regex": "",
        "type": "datasource",
    }
    starts = {
        "datasource": SOURCE,
        "enable": True,
        "expr": f"changes({metric('dms_process_start_time_seconds')}[$__interval]) > 0",
        "iconColor": "blue",
        "name": "Starts of the container",
        "titleFormat": "started",
    }
    return {
        "annotations": {"list": [starts]},
        "description": "A mail server under dmsinit: its services, what they use, filters, configuration.",
        "editable": True,
        "graphTooltip": 1,
        "links": [],
        "panels": placed(ROWS),
        "refresh": "30s",
        "schemaVersion": 39,
        "tags": ["dmsinit", "mail"],
        "templating": {
            "list": [
                source,
                variable("job", "Job", "label_values(dms_build_info, job)"),
                variable("instance", "Server", 'label_values(dms_build_info{job="$job"}, instance)'),
            ]
        },
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "title": "Mail server (dmsinit)",
        "uid": "dmsinit",
    }


if __name__ == "__main__":
    print(json.dumps(dashboard(), indent=2, sort_keys=True))  # sorted: a change of it is a small difference
