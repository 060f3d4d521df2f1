"""How a command writes for people: tables, durations, sizes, and colour where a terminal can show it."""

import os
import sys
from collections.abc import Sequence
from typing import Final, TextIO

_COLOURS: Final = {"green": "32", "yellow": "33", "red": "31", "dim": "2"}
_STATE_COLOURS: Final = {
    "ready": "green", "starting": "yellow", "waiting": "yellow", "reloading": "yellow", "stopping": "yellow",
    "busy": "yellow",
    "unhealthy": "red", "backoff": "red", "failed": "red", "stopped": "dim", "exited": "dim", "disabled": "dim",
    "booting": "yellow", "degraded": "red",
}  # fmt: skip
_KIB: Final = 1024


def is_colourful(stream: TextIO) -> bool:
    """Say whether colours help there: on a terminal, unless NO_COLOR is set (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def state(text: str, shown: str | None = None) -> str:
    """Return the name of a state (or `shown`) in its colour, where standard output shows colours."""
    return colour(text if shown is None else shown, _STATE_COLOURS.get(text, ""))


def colour(text: str, name: str) -> str:
    """Return text in a colour, where standard output shows colours."""
    if name not in _COLOURS or not is_colourful(sys.stdout):
        return text
    return f"\x1b[{_COLOURS[name]}m{text}\x1b[0m"


def table(rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), states: int | None = None) -> str:
    """Return rows as aligned columns, the first row being the head; `right` columns end flush.

    `states` is the column whose words are states and get their colour. The last column is as wide as it needs.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = [
            text.rjust(width) if column in right else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        if states is not None and number:
            cells[states] = state(row[states], cells[states])
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def duration(seconds: float | None) -> str:
    """Return a span for people: `0.41s`, `12s`, `3m05s`, `4h12m`, `3d04h`; `-` for None."""
    if seconds is None:
        return "-"
    if seconds < 10:
        return f"{seconds:.2f}s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"


def size(count: int | None) -> str:
    """Return bytes in binary units: `512 B`, `4.2 MiB`; `-` for None."""
    if count is None:
        return "-"
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < _KIB or unit == "GiB":
            break
        value /= _KIB
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
