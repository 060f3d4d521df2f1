#!/usr/bin/env python3
"""The Grafana dashboard, as data: `tools/dashboard.py` prints what is in grafana/dmsinit.json (Grafana 10 and later).

The JSON is what people import; this is where it is changed. A panel is a line here and half a screen there, and the
places of all panels follow from their sizes.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

COLUMNS: Final = 24

Json = dict[str, Any]

SOURCE: Final[Json] = {"type": "prometheus", "uid": "${datasource}"}
HERE: Final = 'job="$job",instance="$instance"'
"""What every query asks for: one server."""
UNPLANNED: Final = 'reason!~"operator|config-changed|dependency|schedule|boot"'
UNSCHEDULED: Final = 'reason!="schedule"'
DOWN: Final = 'state=~"backoff|failed|stopped|unhealthy|starting|waiting"'
STATES: Final = {
    "ready": "green",
    "reloading": "blue",
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


def metric(name: str, *matchers: str, **equal: str) -> str:
    """Return the selector of a metric of the chosen server, by further matchers and labels."""
    labels = [HERE, *matchers, *(f'{label}="{value}"' for label, value in equal.items())]
    return f"{name}{{{','.join(labels)}}}"


def rate(name: str) -> str:
    return f"rate({metric(name)}[$__rate_interval])"


def increase(name: str, *matchers: str, over: str = "$__rate_interval") -> str:
    return f"increase({metric(name, *matchers)}[{over}])"


# --- panels


def panel(
    kind: str,
    title: str,
    queries: Mapping[str, str],
    *,
    size: tuple[int, int],
    text: str = "",
    unit: str = "",
    decimals: int | None = None,
    steps: Sequence[tuple[float | None, str]] = (),
    mappings: Sequence[Json] = (),
    instant: bool = False,
    custom: Json | None = None,
    options: Json | None = None,
) -> Json:
    """Return a panel of `size` (width of 24 columns, height); `queries` are legend → PromQL."""
    defaults: Json = {"custom": custom or {}, "mappings": list(mappings), "unit": unit or "short"}
    if decimals is not None:
        defaults["decimals"] = decimals
    if steps:
        defaults["color"] = {"mode": "thresholds"}
        defaults["thresholds"] = {
            "mode": "absolute",
            "steps": [{"color": color, "value": value} for value, color in steps],
        }
    return {
        "datasource": SOURCE,
        "description": text,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "gridPos": {"w": size[0], "h": size[1]},
        "options": options or {},
        "targets": [target(chr(65 + i), legend, query, instant) for i, (legend, query) in enumerate(queries.items())],
        "title": title,
        "type": kind,
    }


def target(reference: str, legend: str, query: str, instant: bool) -> Json:
    return {
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": query,
        "format": "time_series",
        "instant": instant,
        "legendFormat": legend,
        "range": not instant,
        "refId": reference,
    }


def stat(title: str, query: str, **more: Any) -> Json:
    options = {
        "colorMode": "background" if "steps" in more else "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": "auto",
    }
    return panel("stat", title, {"": query}, size=(3, 4), instant=True, options=options, **more)


def graph(
    title: str,
    queries: Mapping[str, str],
    *,
    unit: str = "",
    size: tuple[int, int] = (12, 8),
    text: str = "",
    stacked: bool = False,
    bars: bool = False,
    lines: Sequence[str] = (),
    zero: bool = True,
) -> Json:
    """Return a time series; those whose legend is in `lines` stand beside the stack, dashed."""
    custom: Json = {
        "drawStyle": "bars" if bars else "line",
        "fillOpacity": 60 if bars else 25 if stacked else 0,
        "lineWidth": 1,
        "showPoints": "never",
        "stacking": {"group": "A", "mode": "normal" if stacked or bars else "none"},
    }
    options = {
        "legend": {
            "calcs": ["max", "lastNotNull"],
            "displayMode": "table",
            "placement": "right",
            "showLegend": True,
            "sortBy": "Last *",
            "sortDesc": True,
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    result = panel("timeseries", title, queries, size=size, unit=unit, text=text, custom=custom, options=options)
    if zero:
        result["fieldConfig"]["defaults"]["min"] = 0
    for name in lines:
        look = {"fillOpacity": 0, "lineStyle": {"dash": [8, 8], "fill": "dash"}, "stacking": {"mode": "none"}}
        properties = [{"id": f"custom.{key}", "value": value} for key, value in look.items()]
        result["fieldConfig"]["overrides"].append(
            {"matcher": {"id": "byName", "options": name}, "properties": properties}
        )
    return result


def timeline(title: str, queries: Mapping[str, str], words: Mapping[int, tuple[str, str]], **more: Any) -> Json:
    """Return a state timeline; `words` are value → text and colour."""
    options = {
        "alignValue": "left",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "mergeValues": True,
        "rowHeight": 0.85,
        "showValue": "never",
        "tooltip": {"mode": "single", "sort": "none"},
    }
    custom = {"fillOpacity": 80, "lineWidth": 0}
    return panel(
        "state-timeline", title, queries, options=options, custom=custom, mappings=[value_words(words)], **more
    )


def bars(title: str, queries: Mapping[str, str], **more: Any) -> Json:
    options = {
        "displayMode": "basic",
        "minVizHeight": 16,
        "orientation": "horizontal",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showUnfilled": True,
        "valueMode": "text",
    }
    result = panel("bargauge", title, queries, options=options, instant=True, **more)
    result["fieldConfig"]["defaults"]["min"] = 0
    return result


def table(title: str, queries: Mapping[str, str], columns: Mapping[str, Json], **more: Any) -> Json:
    """Return a table with a row for each service; `queries` are column → PromQL, `columns` their looks."""
    result = panel("table", title, queries, instant=True, options={"cellHeight": "sm", "showHeader": True}, **more)
    for one in result["targets"]:
        one["format"] = "table"
    names = {f"Value #{one['refId']}": one["legendFormat"] for one in result["targets"]}
    result["transformations"] = [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": {"Time": True}, "indexByName": {}, "renameByName": names}},
    ]
    result["fieldConfig"]["overrides"] = [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": key, "value": value} for key, value in look.items()],
        }
        for name, look in columns.items()
    ]
    return result


def value_words(words: Mapping[int, tuple[str, str]]) -> Json:
    options = {
        str(value): {"color": color, "index": index, "text": text}
        for index, (value, (text, color)) in enumerate(words.items())
    }
    return {"type": "value", "options": options}


def yes_no(yes: str, no: str) -> Json:
    """Return what a stat that is 1 or 0 shows."""
    return {"steps": [(None, "red"), (1, "green")], "mappings": [value_words({1: (yes, "green"), 0: (no, "red")})]}


# --- what is shown

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


# --- the dashboard


def placed(rows: Mapping[str, Sequence[Json]]) -> list[Json]:
    """Return all panels with their places: in reading order, wrapped at COLUMNS, each row under its title."""
    result: list[Json] = []
    y = 0
    for title, panels in rows.items():
        if title:
            grid = {"h": 1, "w": COLUMNS, "x": 0, "y": y}
            result.append({"collapsed": False, "gridPos": grid, "panels": [], "title": title, "type": "row"})
            y += 1
        x = height = 0
        for one in panels:
            width = one["gridPos"]["w"]
            if x + width > COLUMNS:
                x, y, height = 0, y + height, 0
            result.append({**one, "gridPos": {**one["gridPos"], "x": x, "y": y}})
            x, height = x + width, max(height, one["gridPos"]["h"])
        y += height
    return result


def variable(name: str, label: str, query: str) -> Json:
    return {
        "current": {},
        "datasource": SOURCE,
        "definition": query,
        "hide": 0,
        "includeAll": False,
        "label": label,
        "multi": False,
        "name": name,
        "options": [],
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "regex": "",
        "sort": 1,
        "type": "query",
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
