"""The files as they were before the last apply: kept by each apply, put back by `dmsinit render --roll-back`.

Beside the copies stands a record of what the apply changed. It is written after the copies and before the first file is
replaced, and removed when the files are back, so that a roll-back that dies is simply run again.
"""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from dmsinit.problem import Problem, ProblemsFound
from dmsinit.render.atomic import TEMPORARY_SUFFIX, remove, replace_file, replace_link
from dmsinit.render.paths import PREVIOUS, RENDERED, RENDERED_BEFORE, Root

_RECORD: Final = f"{PREVIOUS}/record.json"
_FILES: Final = f"{PREVIOUS}/files"

Kind = Literal["create", "modify", "delete"]


def keep(changed: Iterable[str], links: Iterable[str], root: Root) -> None:
    """Keep the files and symbolic links at these paths as they are now; OSError when there is no room."""
    forget(root)
    os.makedirs(root(PREVIOUS), mode=0o700, exist_ok=True)
    record: dict[str, str | None] = {}
    for path in links:
        record[path] = os.readlink(root(path)) if os.path.islink(root(path)) else None
    files = list(changed)
    for path in files:
        if os.path.lexists(root(path)):
            os.makedirs(os.path.dirname(root(_FILES + path)), exist_ok=True)
            _duplicate(root(path), root(_FILES + path))
    replace_file(root(_RECORD), json.dumps({"files": files, "links": record}).encode(), mode=0o600, durable=False)


def forget(root: Root) -> None:
    """Give up what is kept."""
    remove(root(_RECORD))
    shutil.rmtree(root(PREVIOUS), ignore_errors=True)


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
        shutil.rmtree(root(RENDERED), ignore_errors=True)
        os.rename(root(RENDERED_BEFORE), root(RENDERED))
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
    os.makedirs(os.path.dirname(target), exist_ok=True)
    _duplicate(kept, temporary)
    os.rename(temporary, target)
    remove(temporary)  # rename(2) leaves both names when they are the same file already
    return kind


def _restore_link(path: str, target: str | None, root: Root) -> None:
    if target is None:
        remove(root(path))
    elif not (os.path.islink(root(path)) and os.readlink(root(path)) == target):
        replace_link(root(path), target)


def _duplicate(source: str, target: str) -> None:
    """Give a file a second name, or where that cannot be (two file systems), a copy with its owner, mode and times."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
        status = os.lstat(source)
        if os.geteuid() == 0:
            os.lchown(target, status.st_uid, status.st_gid)
