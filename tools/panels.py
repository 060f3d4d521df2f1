"""The parts of a Grafana dashboard: queries of one server, and panels as Grafana 10 and later read them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

COLUMNS: Final = 24

Json = dict[str, Any]

SOURCE: Final[Json] = {"type": "prometheus", "uid": "${datasource}"}
HERE: Final = 'job="$job",instance="$instance"'
"""What every query asks for: one server."""


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
