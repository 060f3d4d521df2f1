"""Files and links, written whole or not at all, and never through a link that another user made (base/beneath.py)."""

import os
import time
from contextlib import ExitStack
from typing import Final, Self

from dmsinit.base import trees
from dmsinit.base.beneath import Directory, behind, opened, parent_of

TEMPORARY_SUFFIX: Final = ".dmsinit-new"
"""No daemon's `*.conf` pattern matches it, cron ignores names with dots, and a leftover is overwritten."""

_SETTLED_SECONDS: Final = 3.0


def write_file(path: str, content: bytes, mode: int, *, uid: int = -1, gid: int = -1, durable: bool = False) -> None:
    """Create a file that does not exist, with its final owner and mode before a byte is in it.

    Its time of modification is a little in the past: Postfix waits before it reads a file that changed within the last
    two seconds, for fear of a half-written one.
    """
    with parent_of(path) as (directory, name):
        write_in(directory, name, content, mode, uid=uid, gid=gid, durable=durable)


class Places:
    """Directories that are opened once and used often. A context manager."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._directories: dict[str, Directory] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        self._directories.clear()

    def of(self, path: str, *, make: int = 0) -> tuple[Directory, str]:
        """Return the directory that holds `path`, and the name in it; `make` what is missing. Raises OSError."""
        parent, _, name = path.rpartition("/")
        if parent not in self._directories:
            self._directories[parent] = self._open.enter_context(opened(parent or "/", make=make))
        return self._directories[parent], name


def write_in(
    directory: Directory, name: str, content: bytes, mode: int, *, uid: int = -1, gid: int = -1, durable: bool = False
) -> None:
    """Create a file in an open directory as `write_file` does."""
    fd = directory.create(name)
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


def make_newer(directory: Directory, name: str, than: str) -> None:
    """Give a file a later time of modification than the file `than` in the same directory, in whole seconds.

    Dovecot's passwd-file compares just that and the size: of two changes within a second it would miss the second.
    """
    before, status = directory.status(than), directory.status(name)
    if before is not None and status is not None and int(status.st_mtime) <= int(before.st_mtime):
        later = int(before.st_mtime) + 1
        os.utime(name, (later, later), dir_fd=directory.fd, follow_symlinks=False)


def replace_file(path: str, content: bytes, *, mode: int, uid: int = -1, gid: int = -1, durable: bool = True) -> None:
    """Replace one file atomically; `durable`: it is on the disk before it is in place (what is made again need not)."""
    with parent_of(path) as (directory, name):
        replace_in(directory, name, content, mode=mode, uid=uid, gid=gid, durable=durable)


def replace_in(
    directory: Directory, name: str, content: bytes, *, mode: int, uid: int = -1, gid: int = -1, durable: bool = True
) -> None:
    """Replace a file, or a link, in an open directory as `replace_file` does."""
    temporary = name + TEMPORARY_SUFFIX
    directory.unlink(temporary)
    write_in(directory, temporary, content, mode, uid=uid, gid=gid, durable=durable)
    directory.rename(temporary, name)


def replace_link(path: str, target: str) -> None:
    """Make `path` a symbolic link to `target`, atomically in place of the file or link of that name."""
    with parent_of(path, make=0o755) as (directory, name):
        temporary = name + TEMPORARY_SUFFIX
        directory.unlink(temporary)
        directory.symlink(temporary, target)
        try:
            directory.rename(temporary, name)
        except OSError:
            directory.unlink(temporary)
            raise


def correct(path: str, uid: int, gid: int, mode: int) -> None:
    """Give a file or directory its owner (unless -1) and mode, where they differ."""
    with behind(path) as (directory, name):
        directory.own(name, uid, gid, mode)


def read(path: str) -> bytes | None:
    """Return the bytes of a regular file, None when there is none."""
    try:
        with behind(path) as (directory, name):
            return directory.read(name)
    except (FileNotFoundError, NotADirectoryError):
        return None


def make_directories(path: str, mode: int = 0o755) -> None:
    """Make a directory and those above it where they are missing."""
    with opened(path, make=mode):
        return


def rename(path: str, new: str) -> None:
    """Give a file, directory or link a new name, in place of what has that name."""
    with parent_of(path) as (directory, name), parent_of(new) as (into, end):
        directory.rename(name, end, into)


def remove(path: str) -> None:
    """Remove a file or link, if it is there."""
    try:
        with parent_of(path) as (directory, name):
            directory.unlink(name)
    except (FileNotFoundError, NotADirectoryError):
        return


def remove_tree(path: str) -> None:
    """Remove whatever is at `path`, with everything below it, if it is there."""
    try:
        with parent_of(path) as (directory, name):
            trees.remove(directory, name)
    except FileNotFoundError:
        return
