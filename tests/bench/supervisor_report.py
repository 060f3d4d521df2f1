"""What `make bench-supervisor` has found, for people: the rows of the table, the page, and its plot."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from statistics import median
from typing import Any, Final

NAMES: Final = {"dmsinit": "dmsinit", "supervisord": "supervisor 4.2", "s6": "s6 2.13"}
MIB: Final = 1024 * 1024
RESTART_SLACK_SECONDS: Final = 0.05

Numbers = Sequence[float | None]


@dataclass(frozen=True)
class Row:
    """A line of the table: `cells` by contender; `met` is None where there is no aim. `values` are for the plot."""

    what: str
    aim: str
    cells: Mapping[str, str]
    met: bool | None = None
    values: Mapping[str, float] | None = None
    unit: str = "s"
    plotted: str = ""


def p99(numbers: Sequence[float]) -> float:
    """Return the 99th percentile (nearest rank)."""
    return sorted(numbers)[max(math.ceil(0.99 * len(numbers)) - 1, 0)]


def middle(numbers: Numbers) -> float:
    """Return the median, where None (never) is more than anything."""
    return median(math.inf if number is None else number for number in numbers)


def shown(seconds: float) -> str:
    """Return a time for people."""
    if math.isinf(seconds):
        return "never"
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"


def spread(numbers: Numbers) -> str:
    """Return median and 99th percentile, or the only number there is."""
    if len(numbers) == 1:
        return shown(middle(numbers))
    known = [math.inf if number is None else number for number in numbers]
    return f"{shown(middle(numbers))} (p99 {shown(p99(known))})"


def rows(found: Mapping[str, Any]) -> list[Row]:
    """Return the table."""
    return [
        *_restarts(found), *_whole_sets(found), *_real(found["real"]), *_idle(found["idle"]), *_memory(found),
        _status(found), _orphans(found),
    ]  # fmt: skip


def _timed(
    what: str,
    aim: str,
    found: Mapping[str, Any],
    pick: Callable[[Any], Numbers],
    met: Callable[[Mapping[str, float]], bool] | None = None,
    plotted: str = "",
) -> Row:
    numbers = {name: pick(found[name]) for name in NAMES}
    medians = {name: middle(each) for name, each in numbers.items()}
    cells = {name: spread(each) for name, each in numbers.items()}
    return Row(what, aim, cells, met(medians) if met else None, medians, "s", plotted)


def fastest(medians: Mapping[str, float]) -> bool:
    return all(medians["dmsinit"] < medians[name] for name in NAMES if name != "dmsinit")


def _restarts(found: Mapping[str, Any]) -> list[Row]:
    def within(limit: float) -> Callable[[Mapping[str, float]], bool]:
        return lambda medians: medians["dmsinit"] < limit

    return [
        _timed("kill -9 of a service → its successor runs", "< 5 ms", found,
               lambda one: one["many"]["restarts"]["kill"], within(0.005), "a killed service runs again"),
        _timed("a service exits → its successor runs", "< 5 ms", found,
               lambda one: one["many"]["restarts"]["exit"], within(0.005)),
        _timed("… of which the service itself (started bare)", "", found,
               lambda one: one["many"]["restarts"]["floor"]),
    ]  # fmt: skip


def _whole_sets(found: Mapping[str, Any]) -> list[Row]:
    return [
        _timed("200 stopped services started → all run", "faster than both", found,
               lambda one: one["many"]["cycles"]["start"], fastest, "200 services started"),
        _timed("container with 200 services → all run", "", found, lambda one: one["many"]["boots"]),
        _timed("200 services stopped", "", found,
               lambda one: one["many"]["cycles"]["stop"], None, "200 services stopped"),
        _timed("20 services stopped", "", found, lambda one: one["few"]["cycles"]["stop"]),
    ]  # fmt: skip


def _real(real: Mapping[str, Any]) -> list[Row]:
    result = []
    daemons: Mapping[str, Any] = real["daemons"]
    late = []
    for name, one in daemons.items():
        own, again = middle(one["own"]), middle(one["again"])
        good = again <= own + RESTART_SLACK_SECONDS
        late += [] if good else [name]
        cells = {"dmsinit": spread(one["again"])}
        result.append(
            Row(f"kill -9 of {name} → it answers again", f"≤ {shown(own + RESTART_SLACK_SECONDS)}", cells, good)
        )
    count = f"{len(daemons) - len(late)} of {len(daemons)}"
    result.append(Row("daemons that are back in their start-up time + 50 ms", "all", {"dmsinit": count}, not late))
    found = real["opendkim"]
    result.append(
        _timed("OpenDKIM's parent killed (AutoRestart) → a new one answers", "", found, lambda one: one["kill"])
    )  # fmt: skip
    result.append(
        _timed("restart of OpenDKIM, until it answers", "< 600 ms", found, lambda one: one["restart"],
               lambda medians: medians["dmsinit"] < 0.6, "OpenDKIM restarted, answers")
    )  # fmt: skip
    return result


def _idle(idle: Mapping[str, Any]) -> list[Row]:
    wakeups = {name: idle[name]["wakeups"] for name in NAMES}
    cells = {name: f"{value:.2f}/s" for name, value in wakeups.items()}
    probing = idle["probing"]["wakeups"]
    return [
        Row("wake-ups when idle, 20 services", "0/s", cells, wakeups["dmsinit"] < 0.05, wakeups, "/s", "idle wake-ups"),
        Row("… with 20 health probes every 15 s", "< 3/s", {"dmsinit": f"{probing:.2f}/s"}, probing < 3),
    ]


def _memory(found: Mapping[str, Any]) -> list[Row]:
    rss = {name: found[name]["few"]["memory"]["pid1_rss"] / MIB for name in NAMES}
    pss = {name: found[name]["few"]["memory"]["pss"] / MIB for name in NAMES}
    growth = {name: _growth(found[name]) for name in NAMES}
    return [
        Row("RSS of PID 1, 20 services", "≤ 32 MiB", {n: f"{v:.1f} MiB" for n, v in rss.items()}, rss["dmsinit"] <= 32),
        Row("memory of all its processes (PSS), 20 services", "", {n: f"{v:.1f} MiB" for n, v in pss.items()}, None,
            pss, "MiB", "memory, 20 services"),
        Row("… for each further service up to 500", "< 30 KiB", {n: f"{v:.0f} KiB" for n, v in growth.items()},
            growth["dmsinit"] < 30, growth, "KiB", "memory for each service"),
    ]  # fmt: skip


def _growth(one: Mapping[str, Any]) -> float:
    return float(one["most"]["memory"]["pss"] - one["few"]["memory"]["pss"]) / 1024 / 480


def _status(found: Mapping[str, Any]) -> Row:
    def met(medians: Mapping[str, float]) -> bool:
        return medians["dmsinit"] < 0.07 and medians["dmsinit"] < medians["supervisord"]

    return _timed("status of 20 services, as a whole command", "< 70 ms, < supervisor", found,
                  lambda one: one["few"]["status"], met, "status command")  # fmt: skip


def _orphans(found: Mapping[str, Any]) -> Row:
    def cell(name: str) -> str:
        one = found[name]["few"]["orphans"]
        if one["seconds"] is None:
            return f"{one['left']} left after 20 s"
        told = f", {one['codes']} of 20 exit codes told" if "codes" in one else ""
        return f"{shown(one['seconds'])}{told}"

    one = found["dmsinit"]["few"]["orphans"]
    good = one["seconds"] is not None and one["seconds"] < 1 and one["codes"] == 20 and one["back"]
    values = {name: found[name]["few"]["orphans"]["seconds"] or math.inf for name in NAMES}
    cells = {name: cell(name) for name in NAMES}
    return Row(
        "10,000 orphans reaped, while 20 services exit",
        "< 1 s, no code lost",
        cells,
        good,
        values,
        "s",
        "10,000 orphans",
    )


# Text


def text(table: Sequence[Row]) -> str:
    """Return the table for a terminal."""
    lines = [("what", "aim", *NAMES.values(), "")]
    for row in table:
        verdict = {None: "", True: "met", False: "MISSED"}[row.met]
        lines.append((row.what, row.aim, *(row.cells.get(name, "") for name in NAMES), verdict))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def write(table: Sequence[Row], found: Mapping[str, Any], directory: Path) -> None:
    """Write the page and its plot."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "supervision-benchmark.svg").write_text(plot([row for row in table if row.plotted]))
    (directory / "supervision-benchmark.md").write_text(page(table, found))


def page(table: Sequence[Row], found: Mapping[str, Any]) -> str:
    """Return the page in Markdown."""
    head = ["what", "aim", *NAMES.values(), "aim met"]
    lines = ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    for row in table:
        verdict = {None: "", True: "yes", False: "**no**"}[row.met]
        cells = [row.what, row.aim, *(row.cells.get(name, "") for name in NAMES), verdict]
        lines.append("| " + " | ".join(cells) + " |")
    machine = found["machine"]
    return PAGE.format(table="\n".join(lines), date=found["date"], **machine)


PAGE: Final = """\
# Supervision, measured

<!-- Written by `make bench-supervisor`; change tests/bench/supervisor_report.py instead of this page. -->

dmsinit beside Debian's supervisor and s6, each as PID 1 of containers of the same image, in one run
({date}, {processor}, {kernel}).
Times are medians with the 99th percentile in brackets; compare the columns, not the machine.

![The same numbers as bars](supervision-benchmark.svg)

{table}

## How it is measured

The services of the first rows are shells that announce themselves in a FIFO before they wait for the order to exit.
The clock runs from the kill (or that order) until the announcement of the successor is read, outside of the supervisor.
Each service is killed once, after at least three seconds of life: what is measured is the first restart, not a crash
loop, in which dmsinit waits longer each time.

- supervisor runs with `startsecs=0`, which spares it a second of observing each service that starts.
- *Container → all run* includes what only dmsinit does at boot: reading the settings and the accounts, and rendering
  and checking the configuration of the mail server.
- s6 has one small process for each service; *memory of all its processes* counts those too, and shared pages once.
  It keeps no output of services: a logger would be one more process for each.
- The daemons are those of the built image, also those that have to be switched on; ClamAV has one signature.
  Their own start-up time is the median of what dmsinit saw on ordered restarts, from the start of the process until the
  daemon answered its readiness probe; after a kill no process of the old tree may be left, and the probe is asked once
  more from outside.
- With `AutoRestart yes`, OpenDKIM is a parent and a child, and the child keeps the port when the parent is killed.
  A supervisor that watches one process starts a new parent, which cannot have the port: *never* means not within 10 s.
  (The image sets `AutoRestart no`; the restarts are measured with that.)
- The orphans are 10,000 dead children of a parent that ends; at the same moment every service exits with a code of its
  own, which must not be lost among them.

Run it yourself: `make bench-supervisor`.
"""


# The plot: one panel a row, bars as long as the value, numbers beside them


_WIDTH: Final = 960
_PANEL: Final = 108
_COLUMNS: Final = 2
_LABEL: Final = 96
_BAR: Final = 16
_COLOURS: Final = {"dmsinit": "#0b7285", "supervisord": "#adb5bd", "s6": "#868e96"}


def plot(table: Sequence[Row]) -> str:
    """Return an SVG with a panel for each row."""
    height = math.ceil(len(table) / _COLUMNS) * _PANEL + 16
    panels = "".join(_panel(row, number) for number, row in enumerate(table))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="system-ui, sans-serif" font-size="12">\n'
        "<title>dmsinit beside supervisor and s6: shorter is better</title>\n"
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>\n{panels}</svg>\n'
    )


def _panel(row: Row, number: int) -> str:
    assert row.values is not None
    left = 16 + number % _COLUMNS * _WIDTH // _COLUMNS
    top = 24 + number // _COLUMNS * _PANEL
    room = _WIDTH // _COLUMNS - _LABEL - 130
    longest = max((value for value in row.values.values() if math.isfinite(value)), default=1.0) or 1.0
    lines = [f'<text x="{left}" y="{top}" font-weight="600" fill="#212529">{escape(row.plotted)}</text>\n']
    for place, (name, title) in enumerate(NAMES.items()):
        value = row.values[name]
        y = top + 10 + place * (_BAR + 6)
        width = max(room * min(value / longest, 1.0), 1.5)
        fade = ' fill-opacity="0.35"' if math.isinf(value) else ""
        lines.append(
            f'<text x="{left}" y="{y + 12}" fill="#495057">{title}</text>'
            f'<rect x="{left + _LABEL}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{_COLOURS[name]}"{fade}/>'
            f'<text x="{left + _LABEL + width + 6:.1f}" y="{y + 12}" fill="#212529">{_number(value, row.unit)}</text>\n'
        )
    return "".join(lines)


def _number(value: float, unit: str) -> str:
    if math.isinf(value):
        return "not in time"
    if unit == "s":
        return shown(value)
    return f"{value:.2f}{unit}" if unit == "/s" else f"{value:.0f} {unit}"
