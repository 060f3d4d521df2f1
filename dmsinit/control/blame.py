"""Why did the boot take this long? The critical chain: what had to end before the last thing could be ready.

The chain is walked backwards: from the service that became ready last, to what it waited for, and on; the first service
of a chain follows the last phase that ended before it was spawned, and a phase follows the one before it.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from dmsinit.supervisor.status import Span

LATE: Final = "late"
"""The kind of a service that starts after the boot (`late = true`): shown, but the boot did not wait for it."""

_TOLERANCE_SECONDS: Final = 0.000_5
"""Two readings of the clock that far apart count as the same moment."""


class Link(msgspec.Struct, kw_only=True):
    """One part of the critical chain: its own work took `seconds`, before that `gap_seconds` passed unused."""

    name: str
    kind: str
    began: float
    ended: float
    seconds: float
    gap_seconds: float


class Blame(msgspec.Struct, kw_only=True):
    """The boot explained: the answer to `GET /v1/blame`. Seconds count from the start of PID 1.

    `total_seconds` is when the last link ended, `critical_seconds` the sum of the links' own work: their quotient says
    how much of the boot was needed.
    """

    total_seconds: float
    critical_seconds: float
    spans: Sequence[Span]
    chain: Sequence[Link]


def explain(spans: Iterable[Span]) -> Blame:
    """Return the spans in order of their beginning, and the critical chain among them."""
    ordered = sorted(spans, key=lambda span: (span.began, span.spawned or span.began))
    links = _links(_chain(ordered))
    return Blame(
        total_seconds=links[-1].ended if links else 0.0,
        critical_seconds=round(sum(link.seconds for link in links), 6),
        spans=ordered,
        chain=links,
    )


def _chain(spans: Sequence[Span]) -> list[Span]:
    """Return the critical chain, first link first; empty when nothing has ended yet."""
    finished = [span for span in spans if span.ended is not None and span.kind != LATE]
    if not finished:
        return []
    chain = [max(finished, key=_end)]
    while (before := _predecessor(chain[-1], finished)) is not None and before not in chain:
        chain.append(before)
    return chain[::-1]


def _predecessor(span: Span, finished: Sequence[Span]) -> Span | None:
    for other in finished:
        if span.waited_for and other.name == span.waited_for and other.kind != "phase":
            return other
    earlier = [
        other
        for other in finished
        if other.kind == "phase" and other is not span and _end(other) <= _start(span) + _TOLERANCE_SECONDS
    ]
    return max(earlier, key=_end) if earlier else None


def _links(chain: Sequence[Span]) -> list[Link]:
    links: list[Link] = []
    now = 0.0
    for span in chain:
        start, end = max(_start(span), now), _end(span)
        links.append(
            Link(
                name=span.name,
                kind=span.kind,
                began=start,
                ended=end,
                seconds=round(max(0.0, end - start), 6),
                gap_seconds=round(start - now, 6),
            )  # fmt: skip
        )
        now = max(now, end)
    return links


def _start(span: Span) -> float:
    """Return when its own work began: a service's waiting is not its own."""
    return span.began if span.spawned is None else span.spawned


def _end(span: Span) -> float:
    return _start(span) if span.ended is None else span.ended
