"""The boot as a picture of text: one bar a phase or service, on one axis of time, and the critical chain below."""

from typing import Any, Final

from dmsinit.base import text

_BAR_CELLS: Final = 40


def timeline(blame: dict[str, Any]) -> str:
    """Return the answer of /v1/blame for people.

    In a bar `·` is waiting for other services and `█` own work; `*` marks the critical chain.
    """
    spans, chain = blame["spans"], blame["chain"]
    if not spans:
        return "the boot has not begun"
    critical = {link["name"] for link in chain}
    scale = max([blame["total_seconds"], *(span["ended"] or 0.0 for span in spans)]) or 1.0
    rows = [("", "WHAT", "SPAWNED", "READY", "TOOK", "WAITED FOR", "")]
    for span in spans:
        start = span["began"] if span["spawned"] is None else span["spawned"]
        ended = span["ended"]
        rows.append((
            "*" if span["name"] in critical else "", span["name"], _seconds(start), _seconds(ended),
            _seconds(None if ended is None else ended - start), span["waited_for"] or "-", _bar(span, start, scale),
        ))  # fmt: skip
    return "\n".join([text.table(rows, right=(2, 3, 4)), "", *_chain(blame)])


def _chain(blame: dict[str, Any]) -> list[str]:
    chain = blame["chain"]
    if not chain:
        return ["nothing is ready yet"]
    path = " → ".join(f"{link['name']} {_seconds(link['seconds'])}" for link in chain)
    total, critical = blame["total_seconds"], blame["critical_seconds"]
    share = f", {total / critical:.2f} × the chain's own work" if critical else ""
    return [f"critical chain: {path}", f"ready after {_seconds(total)}{share} ({_seconds(critical)})"]


def _bar(span: dict[str, Any], start: float, scale: float) -> str:
    def cell(moment: float) -> int:
        return min(_BAR_CELLS - 1, int(moment / scale * _BAR_CELLS))

    began, spawned = cell(span["began"]), cell(start)
    ended = _BAR_CELLS - 1 if span["ended"] is None else cell(span["ended"])
    return " " * began + "·" * (spawned - began) + "█" * max(1, ended - spawned + 1)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}s"
