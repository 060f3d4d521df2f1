"""The rooms of dmsinit/ import each other as CONTRIBUTING's table says, and never in a circle."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "dmsinit"
NESTED: Final = ("render", "cli")
"""Rooms that have rooms in them."""


def room_of(path: Path) -> str:
    """Return the room of a module: a folder, or a file that stands alone in the package or in a nested room."""
    parts = path.relative_to(PACKAGE).parts
    depth = 2 if parts[0] in NESTED and len(parts) > 1 else 1
    return "/".join(parts[:depth]).removesuffix("/__init__.py")


@cache
def modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "dmsinit":
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                yield whole if whole in modules() else node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in modules())


@cache
def imports() -> dict[str, set[str]]:
    """Return for each room the other rooms that it imports from."""
    found: dict[str, set[str]] = {}
    for path in modules().values():
        room = room_of(path)
        found.setdefault(room, set()).update(room_of(modules()[name]) for name in imported(path))
    return {room: others - {room} for room, others in found.items()}


def table() -> dict[str, set[str]]:
    """Return CONTRIBUTING's table: each folder, and the folders that it may import from."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `dmsinit/([\w/]+)/` \| [^|]+ \| ([^|]*) \|$", text, re.MULTILINE)
    return {room: set(re.findall(r"`([\w/]+)`", allowed)) for room, allowed in rows}


def folders(rooms: set[str]) -> set[str]:
    return {room for room in rooms if not room.endswith(".py") and room not in ("", ".")}


def test_no_room_imports_another_in_a_circle() -> None:
    try:
        list(TopologicalSorter(imports()).static_order())
    except CycleError as error:
        pytest.fail(f"these import each other: {' → '.join(error.args[1])}")


def test_the_table_names_every_room() -> None:
    assert table().keys() == folders(set(imports()))


@pytest.mark.parametrize("room", sorted(table()))
def test_a_room_imports_what_the_table_says(room: str) -> None:
    assert folders(imports()[room]) == table()[room]
