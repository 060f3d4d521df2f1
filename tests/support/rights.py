"""The table of docs/reference/rights.md as data."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TABLE: Final = Path(__file__).resolve().parents[2] / "docs" / "reference" / "rights.md"


@dataclass(frozen=True)
class Rights:
    """One row: `capabilities` is None for all that the container has."""

    users: frozenset[str]
    capabilities: frozenset[str] | None
    no_new_privs: bool


def read_table() -> dict[str, Rights]:
    """Return service → row."""
    rows = {}
    for line in TABLE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 5 or cells[0] in ("service", "---"):
            continue
        words = re.split(r",\s*", cells[2])
        named = None if words == ["all"] else frozenset() if words == ["none"] else frozenset(words)
        assert cells[3] in ("yes", "no"), line
        rows[cells[0]] = Rights(frozenset(re.split(r",\s*", cells[1])), named, cells[3] == "yes")
    return rows
