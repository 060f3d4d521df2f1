"""What users mount in a way that does not work as it looks: told, and left alone."""

import os
import stat
from collections.abc import Iterator
from typing import Final

from dmsinit.base import mounts
from dmsinit.problem import Problem
from dmsinit.render.paths import VOLUME, Root
from dmsinit.volume import files

_SUFFIXES: Final = (".cf", ".conf", ".local", ".pem", ".sh", ".sieve")
_NAMES: Final = ("whitelist_recipients",)


def stale(root: Root) -> list[Problem]:
    """Return a warning for each mounted file that was replaced on the host: the server works with the old one."""
    found = mounts.parse((root.read(mounts.MOUNTINFO) or b"").decode("utf-8", "surrogateescape"))
    cause = (
        "is mounted by itself and was replaced on the host since: the server sees the old file, and cannot change it"
    )
    remedy = "recreate the container, and mount the directory instead of single files"
    return [Problem(path.removeprefix(f"{VOLUME}/"), cause, remedy) for path in mounts.outdated(found)]


def directories(root: Root) -> list[Problem]:
    """Return a warning for each directory of the config volume where a file belongs.

    Engines make one when the file that is to be mounted does not exist, Kubernetes for a subPath key that is missing.
    files.load tells of those that it reads.
    """
    cause = "is a directory where a file belongs; it is ignored"
    remedy = "remove it, and create the file before it is mounted (an engine makes a directory of a missing file)"
    return [Problem(name, cause, remedy) for name in misplaced(root) if name not in files.ALL]


def misplaced(root: Root) -> Iterator[str]:
    """Yield the names in the config volume, two levels deep, that are a file's and belong to a directory."""
    for name in root.listing(VOLUME):
        if _is_directory(root(f"{VOLUME}/{name}")):
            if name.endswith(_SUFFIXES) or name in _NAMES:
                yield name
                continue
            for inner in root.listing(f"{VOLUME}/{name}"):
                if inner.endswith(_SUFFIXES) and _is_directory(root(f"{VOLUME}/{name}/{inner}")):
                    yield f"{name}/{inner}"


def _is_directory(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except OSError:
        return False
