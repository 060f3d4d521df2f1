"""Files and links, written whole or not at all."""

import os
import time
from typing import Final

TEMPORARY_SUFFIX: Final = ".dmsinit-new"
"""No daemon's `*.conf` pattern matches it, cron ignores names with dots, and a leftover is overwritten."""

_SETTLED_SECONDS: Final = 3.0


def write_file(path: str, content: bytes, mode: int, *, uid: int = -1, gid: int = -1, durable: bool = False) -> None:
    """Create a file that does not exist, with its final owner and mode before a byte is in it.

    Its time of modification is a little in the past: Postfix waits before it reads a file that changed within the last
    two seconds, for fear of a half-written one.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if uid >= 0:
            os.fchown(fd, uid, gid)
        if mode != 0o600:
            os.fchmod(fd, mode)
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        then = time.time() - _SETTLED_SECONDS
        os.utime(fd, (then, then))
        if durable:
            os.fsync(fd)
    finally:
        os.close(fd)


def make_newer(path: str, than: str) -> None:
    """Give `path` a later time of modification than the file `than`, in whole seconds.

    Dovecot's passwd-file compares just that and the size: of two changes within a second it would miss the second.
    """
    try:
        before = int(os.stat(than).st_mtime)
    except FileNotFoundError:
        return
    if int(os.stat(path).st_mtime) <= before:
        os.utime(path, (before + 1, before + 1))


def replace_file(path: str, content: bytes, *, mode: int, uid: int = -1, gid: int = -1, durable: bool = True) -> None:
    """Replace one file atomically; `durable`: it is on the disk before it is in place (what is made again need not)."""
    temporary = path + TEMPORARY_SUFFIX
    remove(temporary)
    write_file(temporary, content, mode, uid=uid, gid=gid, durable=durable)
    os.rename(temporary, path)


def replace_link(path: str, target: str) -> None:
    """Make `path` a symbolic link to `target`, atomically in place of the file or link that stands there."""
    temporary = path + TEMPORARY_SUFFIX
    remove(temporary)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.symlink(target, temporary)
    try:
        os.rename(temporary, path)
    except OSError:
        remove(temporary)
        raise


def correct(path: str, uid: int, gid: int, mode: int) -> None:
    """Give a file or directory its owner (unless -1) and mode, where they differ."""
    status = os.stat(path)
    if uid >= 0 and (status.st_uid, status.st_gid) != (uid, gid):
        os.chown(path, uid, gid)
    if status.st_mode & 0o7777 != mode:
        os.chmod(path, mode)


def remove(path: str) -> None:
    """Remove a file if that is possible: what cannot be removed is overwritten or reported later."""
    try:
        os.unlink(path)
    except OSError:
        return
