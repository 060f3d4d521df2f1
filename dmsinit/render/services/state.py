"""Service state on one mount: /var/lib/NAME becomes a link to /var/mail-state/lib-NAME (state.tsv, `[[state]]`).

Nothing is ever lost: a directory is copied under a temporary name, renamed, and only then taken away. What is on the
state volume wins over what the image brings, and a mount of the user's own over both.
"""

import os
import stat
from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Final

from dmsinit.base import trees
from dmsinit.base.acting import acting_as
from dmsinit.base.atomic import remove_tree, replace_file, replace_link
from dmsinit.base.beneath import Directory, opened, parent_of
from dmsinit.problem import Problem
from dmsinit.render.inputs import getmail, srs
from dmsinit.render.overrides import rspamd
from dmsinit.render.paths import STATE, STATE_NOTED, Root, mount_points
from dmsinit.settings import Settings

_COPYING: Final = ".dmsinit-copy"
_LINKS_NAMED: Final = 5
"""As many links are named in a warning."""


@dataclass(frozen=True)
class Folder:
    """A directory in a state directory that has another owner, group and mode; its content has its group."""

    name: str
    owner: str
    group: str
    mode: int


@dataclass(frozen=True)
class StateDirectory:
    """What a service keeps (`[[state]]`). `owner` and `group` (empty: left alone) are for everything in it."""

    path: str
    name: str
    """Of the directory in the state volume."""
    owner: str = ""
    group: str = ""
    mode: int = -1
    """Its own; with one it is made where it does not exist."""
    top: tuple[str, str] = ("", "")
    """Its own owner and group, where they differ from those of what is in it."""
    folders: tuple[Folder, ...] = ()
    leftovers: tuple[str, ...] = ()
    """What is deleted at every start."""


def consolidate(settings: Settings, root: Root, rows: Iterable[StateDirectory]) -> list[Problem]:
    """Move, adopt and repair the state of services at a start; return warnings. Unmounted: owners only."""
    return [
        *_keep(rows, root),
        *srs.keep_secret(settings, root),
        *rspamd.own_keys(settings, root),
        *getmail.keep_seen(settings, root),
    ]


def keep_new(root: Root, rows: Iterable[StateDirectory]) -> list[Problem]:
    """Do so for services that came since the last `note`; return warnings. What others keep is in use, and stays."""
    noted = root.read(STATE_NOTED)
    if noted is None:
        return []
    known = noted.decode().splitlines()
    new = [row for row in rows if row.path not in known]
    if not new:
        return []
    warnings = _keep(new, root)
    note(root, [*known, *(row.path for row in new)])
    return warnings


def note(root: Root, paths: Iterable[str]) -> None:
    """Take note of the state directories of services that may run from now on."""
    replace_file(root(STATE_NOTED), "".join(f"{path}\n" for path in paths).encode(), mode=0o644, durable=False)


def _keep(rows: Iterable[StateDirectory], root: Root) -> list[Problem]:
    has_volume, mounts = os.path.isdir(root(STATE)), mount_points(root)
    warnings: list[Problem] = []
    for row in rows:
        try:
            _make(row, root)
            moves = has_volume and not _is_mounted(row, root, mounts)
            if moves and (inner := _inner_mounts(row, mounts)):
                moves = False
                warnings += inner
            if moves:
                warnings += _link(row, root, mounts)
            warnings += _repair(row, f"{STATE}/{row.name}" if moves else row.path, root, mounts)
        except OSError as error:
            cause = f"cannot be kept in {STATE}: {error.strerror} ({error.filename})"
            warnings.append(Problem(row.path, cause, "make the state volume writable for root"))
    return warnings


def _make(row: StateDirectory, root: Root) -> None:
    """Make a directory that no package brings; what is in the state volume takes its place."""
    if row.mode >= 0:
        with parent_of(root(row.path), make=0o755) as (directory, name):
            if directory.status(name) is None:
                directory.make(name, row.mode)


def _is_mounted(row: StateDirectory, root: Root, mounts: Set[str]) -> bool:
    """Tell whether the directory, or one above it, is a mount of the user's own, who keeps it there."""
    above = row.path.split("/")
    places = {"/".join(above[:length]) for length in range(2, len(above) + 1)}
    return bool(places & mounts) and not os.path.islink(root(row.path))


def _inner_mounts(row: StateDirectory, mounts: Iterable[str]) -> list[Problem]:
    """Return a warning for a directory in which something is mounted: to move it would empty what is mounted."""
    inner = sorted(path for path in mounts if path.startswith(f"{row.path}/"))
    if not inner:
        return []
    cause = f"is not kept in {STATE}, because {' and '.join(inner)} in it {'is' if len(inner) == 1 else 'are'} mounted"
    there = ", ".join(f"{STATE}/{row.name}{path.removeprefix(row.path)}" for path in inner)
    return [Problem(row.path, cause, f"mount it as {there} instead")]


def _link(row: StateDirectory, root: Root, mounts: Set[str]) -> list[Problem]:
    service, target = root(row.path), f"{STATE}/{row.name}"
    with opened(root(STATE)) as states:
        linked = states.link_to_follow(row.name) is not None and os.path.isdir(root(target))
        is_directory = linked or states.is_directory(row.name)
        if is_directory and os.path.islink(service) and os.readlink(service) == target:
            return []
        warnings: list[Problem] = []
        there = os.path.isdir(service) and not os.path.islink(service)
        if not is_directory:
            copying = row.name + _COPYING
            trees.remove(states, copying)
            states.make(copying)
            if there:
                warnings += _copied(service, states, copying)
            else:
                states.own(copying, -1, -1, 0o755)
                warnings.append(Problem(row.path, f"did not exist, nor did {target}; an empty one was made"))
            states.rename(copying, row.name)
        elif there and not linked and _only_mounts(states, row.name, target, mounts):
            warnings += _complete(service, states, row.name)
    if there:
        # Not renamed first: a directory of the image's layers cannot be (overlayfs: EXDEV).
        remove_tree(service)
    replace_link(service, target)
    return warnings


def _copied(service: str, states: Directory, name: str) -> list[Problem]:
    """Copy a directory's content into a new state directory; return a warning for each file that is left out."""
    cause = "has several names (hard links), so it may be another user's file; it was not copied"
    with opened(service) as source, states.enter(name) as target:
        return [Problem(place, cause, "copy it yourself if it is needed") for place in trees.copy(source, target)]


def _only_mounts(states: Directory, name: str, target: str, mounts: Set[str]) -> bool:
    """Return whether there is only what the engine made to mount something on."""
    with states.enter(name) as state:
        names = [entry.name for entry in state.entries()]
    return bool(names) and all(f"{target}/{name}" in mounts for name in names)


def _complete(service: str, states: Directory, name: str) -> list[Problem]:
    """Copy what is missing in a state directory."""
    copying = name + _COPYING
    trees.remove(states, copying)
    states.make(copying)
    warnings = _copied(service, states, copying)
    with states.enter(copying) as copies, states.enter(name) as state:
        for entry in copies.entries():
            if state.status(entry.name) is None:
                copies.rename(entry.name, entry.name, state)
    trees.remove(states, copying)
    return warnings


def _repair(row: StateDirectory, place: str, root: Root, mounts: Set[str]) -> list[Problem]:
    """Give everything its owner again: numeric ids may differ between releases of the image. Mounts below stay."""
    below = {root(path) for path in mounts}
    try:
        with opened(root(place)) as directory:
            for name in row.leftovers:
                _remove_leftover(directory, name, below)
            if not row.owner or os.geteuid() != 0:
                return []
            return [*_remove_unusable_links(row, directory, root), *_own(row, directory, root, below)]
    except FileNotFoundError:
        return []


def _remove_unusable_links(row: StateDirectory, directory: Directory, root: Root) -> list[Problem]:
    """Remove links with which its owner would not start: to no file that it can read, no directory it can write."""
    uid, gid = _ids((row.owner, row.group), root)
    if uid <= 0 or gid < 0 or row.top[0]:
        return []
    removed: list[str] = []
    with acting_as(uid, gid):
        for entry in directory.entries():
            target = directory.link(entry.name)
            if target is not None and not _usable(directory, entry.name):
                directory.unlink(entry.name)
                removed.append(f"{entry.name} -> {target}")
    if not removed:
        return []
    more = f" and {len(removed) - _LINKS_NAMED} more" if len(removed) > _LINKS_NAMED else ""
    cause = f"had symbolic links that {row.owner} cannot use, which were removed: {', '.join(removed[:_LINKS_NAMED])}"
    return [Problem(row.path, cause + more, "mount what is to be kept elsewhere")]


def _usable(directory: Directory, name: str) -> bool:
    """Return whether the acting user can use what a link leads to."""
    try:
        mode = os.stat(name, dir_fd=directory.fd).st_mode
    except OSError:
        return False
    wanted = os.W_OK | os.X_OK if stat.S_ISDIR(mode) else os.R_OK
    regular = stat.S_ISREG(mode) or stat.S_ISDIR(mode)
    return regular and os.access(name, wanted, dir_fd=directory.fd, effective_ids=True)


def _remove_leftover(directory: Directory, path: str, mounts: Set[str]) -> None:
    above, _, name = path.rpartition("/")
    if any(f"{mount}/".startswith(f"{directory.place(path)}/") for mount in mounts):
        return
    if not above:
        trees.remove(directory, name)
    elif directory.is_directory(above):
        with directory.enter(above) as inner:
            trees.remove(inner, name)


def _own(row: StateDirectory, directory: Directory, root: Root, mounts: Set[str]) -> list[Problem]:
    special = {folder.name: (folder.owner, folder.group, folder.mode) for folder in row.folders}
    top = _ids(row.top if row.top[0] else (row.owner, row.group), root)
    directory.own(".", *top, row.mode)
    refused: list[str] = []
    for entry in directory.entries():
        owner, group, mode = special.get(entry.name, (row.owner, row.group, -1))
        owning = trees.Owning(*_ids((owner, group), root), mounts=mounts, quiet=True)
        owning.entry(directory, entry.name)
        refused += owning.refused
        if mode >= 0 and directory.place(entry.name) not in mounts and directory.is_directory(entry.name):
            directory.own(entry.name, -1, -1, mode)
    return [Problem(row.path, f"{text}; it keeps its owner", "delete it, or give it away yourself") for text in refused]


def _ids(names: tuple[str, str], root: Root) -> tuple[int, int]:
    """Return numeric ids; an account that does not exist (-1) changes nothing."""
    uid, gid = root.uid(names[0]), root.gid(names[1])
    return (-1 if uid is None else uid, -1 if gid is None else gid)
