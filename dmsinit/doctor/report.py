"""Findings, and how they are shown."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Level = Literal["ok", "warn", "fail"]
LEVELS: Final[tuple[Level, ...]] = ("ok", "warn", "fail")
_COLOURS: Final = {"ok": "green", "warn": "yellow", "fail": "red"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: `what` is so; when it is not right, `why` that matters and what to do about it."""

    level: Level
    check: str
    what: str
    why: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        fact = f"{self.what}: {self.why}" if self.why else self.what
        return f"{fact}; {self.remedy}" if self.remedy else fact


def report(findings: Sequence[Finding]) -> str:
    """Return a line for each finding, and their number."""
    from dmsinit.base import text

    width = max(len(finding.check) for finding in findings)
    lines = [
        f"{text.colour(f'{finding.level:4}', _COLOURS[finding.level])}  {finding.check:{width}}  {finding}"
        for finding in findings
    ]
    counts = _counts(findings)
    return "\n".join([*lines, ", ".join(f"{counts[level]} {level}" for level in LEVELS)])


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the findings for `--json`."""
    return {"counts": _counts(findings), "findings": [vars(finding) for finding in findings]}


def _counts(findings: Sequence[Finding]) -> dict[Level, int]:
    counts = Counter(finding.level for finding in findings)
    return {level: counts[level] for level in LEVELS}
