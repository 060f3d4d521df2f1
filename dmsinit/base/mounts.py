"""Which file system a path is on: /proc/self/mountinfo (proc_pid_mountinfo(5)), which is read without touching it."""

import os
import stat
from collections import deque
from collections.abc import Mapping
from typing import Final

MOUNTINFO: Final = "/proc/self/mountinfo"

_KERNELS: Final = ("/dev", "/proc", "/sys")
_REMOTE: Final = ("nfs", "9p", "fuse", "cifs", "smb", "virtiofs", "vboxsf", "prl_fs", "afs", "ceph", "gfs", "ocfs")
"""How the names of file systems begin that somebody else serves: another program, machine, or virtual machine."""
_MOST_LINKS: Final = 40
"""As many as the kernel follows in one path (path_resolution(7))."""


def parse(text: str) -> dict[str, str]:
    """Return the types of file systems by mount point; the type follows the lone hyphen."""
    mounts = {}
    for line in text.splitlines():
        head, _, tail = line.partition(" - ")
        if len(fields := head.split(" ")) > 4:
            mounts[fields[4].replace("\\040", " ")] = tail.split(" ", 1)[0]
    return mounts


def remote(path: str, mounts: Mapping[str, str]) -> str:
    """Return the type of the file system that an absolute path is on where somebody else serves it, else "".

    Such a file system sends no events of others' changes, and it can hang. Symbolic links are not followed. The
    container's own root is never one, although FUSE may serve it (fuse-overlayfs of rootless engines).
    """
    mount = _mount_of(path, mounts)
    return mounts[mount] if mount else ""


def _mount_of(path: str, mounts: Mapping[str, str]) -> str:
    """Return where the file system of an absolute path is mounted when somebody else serves it, else ""."""
    while path not in mounts and path != "/":
        path = os.path.dirname(path)
    return path if path != "/" and mounts[path].startswith(_REMOTE) else ""


def hanging(path: str) -> str:
    """Return the mount point of the file system that `path` leads to when that may hang, else "".

    Symbolic links are followed as far as that cannot block; nothing on such a file system is touched.
    """
    with open(MOUNTINFO, encoding="utf-8", errors="surrogateescape") as file:
        mounts = parse(file.read())
    names, place = deque(path.split("/")), "/"
    links = 0
    while names:
        name = names.popleft()
        if name in ("", ".", ".."):
            place = os.path.dirname(place) if name == ".." else place
            continue
        place = os.path.join(place, name)
        if mount := _mount_of(place, mounts):
            return mount
        try:
            target = os.readlink(place)
        except OSError:  # it is none, or not there
            continue
        links += 1
        if links > _MOST_LINKS:
            return ""
        names.extendleft(reversed(target.split("/")))
        place = "/" if target.startswith("/") else os.path.dirname(place)
    return ""


def may_hang(path: str) -> bool:
    """Return whether looking at a path may block for ever, because whoever serves its file system is gone."""
    return bool(hanging(path))


def replaced(place: str, mounts: Mapping[str, str]) -> bool:
    """Return whether a file is mounted by itself and was replaced where it comes from: here the old one stays.

    Whoever replaces a file (most editors, `git pull`) leaves the mounted one without a name (link count 0). What is
    written into it is lost with the container. May block where `may_hang` holds.
    """
    if place not in mounts:
        return False
    try:
        status = os.stat(place)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 0


def outdated(mounts: Mapping[str, str]) -> list[str]:
    """Return the mounted files that were replaced where they come from; what may hang is not looked at."""
    return [
        path
        for path in sorted(mounts)
        if not path.startswith(_KERNELS) and not remote(path, mounts) and replaced(path, mounts)
    ]
