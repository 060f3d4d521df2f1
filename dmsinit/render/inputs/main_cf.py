"""Merge postfix-main.cf into main.cf: postconf(5)'s logical lines, where the last one of a name wins.

The user's lines stand together at the end, as they were written; what they replace is taken out above, so that Postfix
has nothing to warn about and a reader finds each parameter once.
"""

import re
from collections.abc import Container
from dataclasses import dataclass
from typing import Final

_NAME: Final = re.compile(r"([^\s=#][^\s=]*)\s*=")

HEADER: Final = "\n# --- From postfix-main.cf in the config volume " + "-" * 72 + "\n"


@dataclass(frozen=True)
class Parameter:
    """A logical line: its name ("" when it is none) and the numbers (from 0) of its physical lines."""

    name: str
    lines: tuple[int, ...]


@dataclass(frozen=True)
class Merged:
    """The merged text, the line (from 1) at which the user's text begins, and where each of its names stands."""

    text: str
    first_line: int
    names: dict[str, int]


def parameters(lines: list[str]) -> list[Parameter]:
    """Return the logical lines of main.cf: a line that begins with a blank continues the one before it.

    Comments and blank lines belong to none, even between a line and its continuation.
    """
    found: list[tuple[str, list[int]]] = []
    for number, line in enumerate(lines):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0] in " \t" and found:
            found[-1][1].append(number)
            continue
        match = _NAME.match(line.lstrip())
        found.append((match.group(1) if match else "", [number]))
    return [Parameter(name, tuple(numbers)) for name, numbers in found]


def merge(base: str, user: str) -> Merged:
    """Return `base` with `user` appended, each name only once: the user's, and of those the last."""
    # Not splitlines(): for Postfix only a line feed ends a line.
    base_lines, user_lines = base.removesuffix("\n").split("\n"), user.removesuffix("\n").split("\n")
    names: dict[str, int] = {}
    for parameter in parameters(user_lines):
        if parameter.name in names:
            _blank(user_lines, parameters_of(user_lines, names[parameter.name]))
        if parameter.name:
            names[parameter.name] = parameter.lines[0]
    replaced = {number for p in parameters(base_lines) if p.name in names for number in p.lines}
    kept = [line for number, line in enumerate(base_lines) if number not in replaced]
    head = "\n".join(kept) + "\n" + HEADER
    text = head + "\n".join(user_lines) + "\n"
    return Merged(text, head.count("\n") + 1, {name: number + 1 for name, number in names.items()})


def without(text: str, names: Container[str]) -> str:
    """Return the text of a main.cf without some parameters; the others keep their line numbers."""
    lines = text.split("\n")
    for parameter in parameters(lines):
        if parameter.name in names:
            _blank(lines, parameter.lines)
    return "\n".join(lines)


def parameters_of(lines: list[str], first: int) -> tuple[int, ...]:
    """Return the physical lines of the logical line that begins at `first`."""
    return next((parameter.lines for parameter in parameters(lines) if parameter.lines[0] == first), ())


def _blank(lines: list[str], numbers: tuple[int, ...]) -> None:
    """Make lines empty instead of deleting them: line numbers in complaints must stay those of the user's file."""
    for number in numbers:
        lines[number] = ""
