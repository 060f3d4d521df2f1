"""Whose file is it? Changed paths and the services' `files` patterns."""

import re
from collections.abc import Iterable, Mapping

from dmsinit.plan import Change, Service
from dmsinit.render.install.install import Kind


def changes_of(changed: Mapping[str, Kind], services: Iterable[Service]) -> list[Change]:
    """Return a Change for each enabled service that a changed file belongs to, one without a service for nobody's."""
    patterns = [(s.name, re.compile("|".join(map(_regex, s.files)))) for s in services if s.enabled and s.files]
    found: list[Change] = []
    for path, kind in changed.items():
        names = [name for name, pattern in patterns if pattern.fullmatch(path)]
        found += [Change(path=path, action=kind, service=name) for name in names or [""]]
    return found


def _regex(pattern: str) -> str:
    """Return a file pattern as a regular expression: `**` is anything, `*` and `?` stop at a slash."""
    parts = re.split(r"(\*\*/?|\*|\?)", pattern)
    known = {"**": ".*", "**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return "".join(known.get(part) or re.escape(part) for part in parts)
