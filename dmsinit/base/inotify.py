"""Asking the kernel to report changes of files: inotify(7).

An instance belongs to whoever holds its descriptor, and a child that inherits it may add watches to it. That is how
PID 1 watches volumes that it must not touch itself, because a network mount that hangs would block it: a child looks
up the paths, and PID 1 reads what the kernel reports.

Directories are watched: editors, `git pull`, Kubernetes and certificate tools replace a file or a symbolic link by
renaming another over it, and a watch on the old file would see nothing more. A file itself is watched as well, because
one that is mounted by itself is written outside, and the directory above the mount point does not hear of it.
"""

import ctypes
import errno
import os
from collections.abc import Iterable
from typing import Final, NamedTuple

IN_ATTRIB: Final = 0x004
IN_CLOSE_WRITE: Final = 0x008
IN_MOVED_FROM: Final = 0x040
IN_MOVED_TO: Final = 0x080
IN_CREATE: Final = 0x100
IN_DELETE: Final = 0x200
IN_Q_OVERFLOW: Final = 0x4000
IN_IGNORED: Final = 0x8000
IN_ONLYDIR: Final = 0x01000000
IN_MASK_ADD: Final = 0x20000000

_CHANGES: Final = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE
_OF_A_FILE: Final = IN_CLOSE_WRITE | IN_ATTRIB
"""IN_ATTRIB: also that a file that is mounted by itself was replaced outside, and has no name any more."""
_GONE: Final = (errno.ENOENT, errno.ENOTDIR)
"""What was there a moment ago: the watch on the directory above reports what comes next."""

LIMITS: Final = {
    errno.EMFILE: "fs.inotify.max_user_instances",
    errno.ENOSPC: "fs.inotify.max_user_watches",
}
"""The sysctl that ends what the kernel gives, by error; all containers of a host share them."""

_libc = ctypes.CDLL(None, use_errno=True)


class Watch(NamedTuple):
    """A watch of an instance: on the file or directory `path`; of a directory only `names` count, or all (None)."""

    descriptor: int
    path: str
    names: frozenset[str] | None


def open_instance() -> int | None:
    """Return the descriptor of a new instance, closed on exec; None when the kernel has none left."""
    descriptor: int = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    return descriptor if descriptor >= 0 else None


def add(instance: int, paths: Iterable[str]) -> tuple[list[Watch], int]:
    """Watch paths; return the watches and, where one could not be added, the errno of that (else 0).

    A path may be a file or a directory, whose every entry then counts. What does not exist is watched for where it
    would appear; what is replaced as a whole, by a rename or a new symbolic link, has changed too. May block.
    """
    directories: dict[str, set[str] | None] = {}
    files = set()
    for path in paths:
        if os.path.isdir(path):
            directories[path] = None
        elif os.path.isfile(path):
            files.add(path)
        directory, name = _nearest(path)
        names = directories.setdefault(directory, set())
        if names is not None:
            names.add(name)
    watches, failure = [], 0
    for directory, names in directories.items():
        descriptor = _add(instance, directory, _CHANGES | IN_ONLYDIR)
        watches.append(Watch(descriptor, directory, None if names is None else frozenset(names)))
    watches += [Watch(_add(instance, path, _OF_A_FILE), path, frozenset({""})) for path in files]
    for watch in watches:
        if watch.descriptor < 0 and -watch.descriptor not in _GONE:
            failure = -watch.descriptor
    return [watch for watch in watches if watch.descriptor >= 0], failure


def remove(instance: int, descriptor: int) -> None:
    """Remove a watch; nothing when it is gone already."""
    _libc.inotify_rm_watch(instance, descriptor)


def _add(instance: int, path: str, mask: int) -> int:
    """Return the descriptor of a watch, that of before if there was one; -errno when it cannot be watched."""
    # Two paths may lead to one file, and then have one watch: the second must not narrow what the first asked for.
    descriptor: int = _libc.inotify_add_watch(instance, os.fsencode(path), mask | IN_MASK_ADD)
    return descriptor if descriptor >= 0 else -ctypes.get_errno()


def _nearest(path: str) -> tuple[str, str]:
    """Return the nearest directory above `path` that exists, and the name in it that leads there."""
    directory, name = os.path.split(path)
    while not os.path.isdir(directory) and directory not in ("", "/"):
        directory, name = os.path.split(directory)
    return directory or "/", name
