"""templates/manifest.toml: owner, group, mode and conditions of what is not root:root 0644 and unconditional.

    ["/etc/dovecot/userdb"]
    owner = "dovecot"
    group = "dovecot"
    mode = "0640"
    service = "dovecot"
    when = "{{ settings.enable_quotas }}"

It is made while `service` is enabled (with `without`: while that one is not), and `when` holds. A path
that ends with `/` is a directory that has to exist; `*` in a path stands for anything.
"""

import fnmatch
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dmsinit.problem import Problem, ProblemsFound
from dmsinit.render.paths import TEMPLATES, Root

NAME: Final = f"{TEMPLATES}/manifest.toml"
_KEYS: Final = {"owner", "group", "mode", "service", "without", "when"}


@dataclass(frozen=True)
class Entry:
    """What the manifest says about one path."""

    owner: str = "root"
    group: str = "root"
    mode: int | None = None
    service: str = ""
    without: str = ""
    when: str = ""


class Manifest:
    """All entries; the condition of a path is resolved by `expand`."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = dict(entries)
        self._patterns = [path for path in entries if "*" in path]

    def of(self, path: str) -> Entry:
        """Return the entry for a path: its own, else that of the first pattern that matches, else the default."""
        if path in self._entries:
            return self._entries[path]
        return next((self._entries[p] for p in self._patterns if fnmatch.fnmatchcase(path, p)), Entry())

    def directories(self) -> list[tuple[str, Entry]]:
        """Return the directories that have to exist, without the final slash."""
        return [(path.rstrip("/"), entry) for path, entry in self._entries.items() if path.endswith("/")]

    def conditions(self) -> list[str]:
        """Return all conditions, to be compiled ahead of time."""
        return sorted({entry.when for entry in self._entries.values() if entry.when})


def holds(entry: Entry, enabled: Mapping[str, bool], expand: Callable[[str], str]) -> bool:
    """Return whether an entry's conditions hold: `enabled` are the services; an expression yields True, 1 or yes."""
    if (entry.service and not enabled.get(entry.service)) or (entry.without and enabled.get(entry.without)):
        return False
    return not entry.when or truth(expand(entry.when))


def truth(text: str) -> bool:
    """Return whether the text that an expression yielded counts as true; an empty or unknown text does not."""
    return text.strip().lower() in ("true", "1", "yes", "on")


def read(root: Root) -> Manifest:
    """Return the manifest of the templates; ProblemsFound when it cannot be understood. Without a file it is empty."""
    data = root.read(NAME)
    if data is None:
        return Manifest({})
    try:
        tables = tomllib.loads(data.decode())
    except ValueError as error:
        raise ProblemsFound([Problem(NAME, f"is not TOML: {error}", "correct it")]) from error
    problems: list[Problem] = []
    entries = {path: entry for path, table in tables.items() if (entry := _entry(path, table, problems)) is not None}
    if problems:
        raise ProblemsFound(problems)
    return Manifest(entries)


def _entry(path: str, table: Any, problems: list[Problem]) -> Entry | None:
    if not isinstance(table, dict) or set(table) - _KEYS:
        problems.append(Problem(NAME, f"{path} may have only {', '.join(sorted(_KEYS))}", "correct it"))
        return None
    mode = table.get("mode", "")
    try:
        number = int(mode, 8) if mode else None
    except (TypeError, ValueError):
        problems.append(Problem(NAME, f"{path}: mode {mode!r} is not an octal number", 'write it as "0640"'))
        return None
    texts = {key: value for key, value in table.items() if key != "mode"}
    return Entry(mode=number, **texts)
