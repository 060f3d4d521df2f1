"""Tables that Postfix reads from an index (hash:, btree:, lmdb:, cdb:): made from their text where it is newer."""

import os
import re
import stat
from collections.abc import Iterable
from typing import Final, NamedTuple

from dmsinit.problem import Problem
from dmsinit.render.paths import VOLUME, Root
from dmsinit.render.programs import run

_INDEXED: Final = re.compile(r"\b(hash|btree|lmdb|cdb):(/[^\s,;{}:=\"']+)")
_SUFFIXES: Final = {"hash": ".db", "btree": ".db", "lmdb": ".lmdb", "cdb": ".cdb"}
_OF_ALIASES: Final = ("alias_maps", "alias_database")


class Index(NamedTuple):
    """A table: its type, the path of its text, and whether that is in the form of aliases(5)."""

    kind: str
    path: str
    aliases: bool

    @property
    def file(self) -> str:
        """The path of what daemons open."""
        return self.path + _SUFFIXES[self.kind]

    def command(self, text: str) -> list[str]:
        """Return what makes the index beside the file `text`."""
        return ["postalias" if self.aliases else "postmap", f"{self.kind}:{text}"]


def named(values: Iterable[tuple[str, str]]) -> list[Index]:
    """Return the tables that parameters (name, value) name."""
    found = [Index(kind, path, name in _OF_ALIASES) for name, value in values for kind, path in _INDEXED.findall(value)]
    return list(dict.fromkeys(found))


def outdated(indexes: Iterable[Index], root: Root) -> list[Index]:
    """Return those whose text is there, in a directory where only root writes, and newer than the index."""
    return [index for index in indexes if _is_outdated(index, root) and _is_roots(os.path.dirname(index.path), root)]


def make(indexes: Iterable[Index], root: Root) -> list[Problem]:
    """Make the indexes; return warnings about those that cannot be made."""
    warnings = []
    for index in indexes:
        outcome = run(index.command(root(index.path)))
        if outcome.code or outcome.stderr:
            cause = f"{'cannot be made into' if outcome.code else 'was made into'} {index.file}: {outcome.complaint}"
            warnings.append(Problem(index.path, cause, "correct it, or make the directory writable"))
    return warnings


def _is_outdated(index: Index, root: Root) -> bool:
    try:
        text = os.stat(root(index.path))
    except OSError:
        return False
    try:
        return stat.S_ISREG(text.st_mode) and os.stat(root(index.file)).st_mtime < text.st_mtime
    except OSError:
        return True


def _is_roots(directory: str, root: Root) -> bool:
    """Return whether nobody else could put a link where the index is going to be."""
    if directory == VOLUME or directory.startswith(f"{VOLUME}/"):
        return True
    status = os.stat(root(directory))
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
