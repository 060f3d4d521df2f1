"""The files as they were before the last apply: kept by each apply, put back by `dmsinit render --roll-back`.

Beside the copies stands a record of what the apply changed. It is written after the copies and before the first file is
replaced, and removed when the files are back, so that a roll-back that dies is simply run again.
"""

import json
import os
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from dmsinit.base import trees
from dmsinit.base.atomic import (
    TEMPORARY_SUFFIX,
    make_directories,
    remove,
    remove_tree,
    rename,
    replace_file,
    replace_link,
)
from dmsinit.base.beneath import parent_of
from dmsinit.problem import Problem, ProblemsFound
from dmsinit.render.paths import PREVIOUS, RENDERED, RENDERED_BEFORE, Root

_RECORD: Final = f"{PREVIOUS}/record.json"
_FILES: Final = f"{PREVIOUS}/files"

Kind = Literal["create", "modify", "delete"]


def keep(changed: Iterable[str], links: Iterable[str], root: Root) -> None:
    """Keep the files and symbolic links at these paths as they are now; OSError when there is no room."""
    forget(root)
    make_directories(root(PREVIOUS), 0o700)
    record: dict[str, str | None] = {}
    for path in links:
        record[path] = os.readlink(root(path)) if os.path.islink(root(path)) else None
    files = list(changed)
    for path in files:
        if os.path.lexists(root(path)):
            make_directories(os.path.dirname(root(_FILES + path)), 0o700)
            _duplicate(root(path), root(_FILES + path))
    replace_file(root(_RECORD), json.dumps({"files": files, "links": record}).encode(), mode=0o600, durable=False)


def forget(root: Root) -> None:
    """Give up what is kept."""
    remove(root(_RECORD))
    remove_tree(root(PREVIOUS))


def roll_back(root: Root) -> dict[str, Kind]:
    """Put everything back; return what that changed. ProblemsFound when nothing is kept, or a file cannot be written.

    All files are tried, whatever happens to one of them.
    """
    record = _read(root)
    changes: dict[str, Kind] = {}
    problems: list[Problem] = []
    for path in record["files"]:
        try:
            changes[path] = _put_back(path, root)
        except OSError as error:
            remedy = "make room, or make it writable, and restart the container"
            problems.append(Problem(path, f"cannot be put back: {error.strerror}", remedy))
    for path, target in record["links"].items():
        try:
            _restore_link(path, target, root)
        except OSError as error:
            problems.append(Problem(path, f"cannot be put back: {error.strerror}", "restart the container"))
    if problems:
        raise ProblemsFound(problems)
    if os.path.isdir(root(RENDERED_BEFORE)):
        remove_tree(root(RENDERED))
        rename(root(RENDERED_BEFORE), root(RENDERED))
    forget(root)
    return changes


def _read(root: Root) -> Mapping[str, dict[str, str | None]]:
    try:
        return dict(json.loads(root.read(_RECORD) or b""))
    except (OSError, ValueError):
        cause = "there are no files of an earlier configuration to go back to"
        raise ProblemsFound([Problem(PREVIOUS, cause, "correct the configuration instead")]) from None


def _put_back(path: str, root: Root) -> Kind:
    target, kept = root(path), root(_FILES + path)
    if not os.path.lexists(kept):
        remove(target)
        return "delete"
    kind: Kind = "modify" if os.path.lexists(target) else "create"
    temporary = target + TEMPORARY_SUFFIX
    remove(temporary)
    make_directories(os.path.dirname(target))
    _duplicate(kept, temporary)
    rename(temporary, target)
    remove(temporary)  # rename(2) leaves both names when they are the same file already
    return kind


def _restore_link(path: str, target: str | None, root: Root) -> None:
    if target is None:
        remove(root(path))
    elif not (os.path.islink(root(path)) and os.readlink(root(path)) == target):
        replace_link(root(path), target)


def _duplicate(source: str, target: str) -> None:
    """Give a file a second name, or where that cannot be (two file systems), a copy with its owner, mode and times."""
    with parent_of(source) as (directory, name), parent_of(target) as (into, end):
        try:
            os.link(name, end, src_dir_fd=directory.fd, dst_dir_fd=into.fd, follow_symlinks=False)
        except OSError:
            trees.copy_entry(directory, name, into, end)
