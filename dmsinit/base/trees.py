"""Whole directory trees that belong to other users: given an owner, copied, removed, without following a link."""

import errno
import os
import shutil
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

from dmsinit.base.beneath import Directory

DEEPEST: Final = 100
"""Levels of directories: far more than mail or state has. A deeper tree was built to exhaust whoever walks it."""

Inode = tuple[int, int]
"""Device and number."""


@dataclass
class Owning:
    """Gives a tree to a user and a group (-1: left alone); what already belongs to them costs one look and no write.

    `mounts` are paths that are left alone with all below them. `quiet`: no other process can change the tree meanwhile,
    so that a file whose names (hard links) are all in the tree is known to be nobody else's. `refused` has a sentence
    for each thing that keeps its owner.
    """

    uid: int
    gid: int
    mounts: Collection[str] = ()
    quiet: bool = False
    refused: list[str] = field(default_factory=list)
    _names: Counter[Inode] = field(default_factory=Counter)
    _links: dict[Inode, tuple[int, str]] = field(default_factory=dict)

    def below(self, directory: Directory) -> None:
        """Own everything in a directory, not the directory itself. Raises OSError."""
        self._twice(lambda shared: self._inside(directory, 0, shared))

    def entry(self, directory: Directory, name: str) -> None:
        """Own one entry of a directory and everything below it. Raises OSError."""

        def walk(shared: Collection[Inode]) -> None:
            status = directory.status(name)
            if status is not None:
                self._entry(directory, name, status, 0, shared)

        self._twice(walk)

    def _twice(self, walk: Callable[[Collection[Inode]], None]) -> None:
        """Walk the tree; if it has files with several names, all of them in the tree, walk it again for those."""
        walk(frozenset())
        own = {inode for inode, count in self._names.items() if self.quiet and count == self._links[inode][0]}
        if own:
            walk(own)
        for inode, (count, place) in self._links.items():
            if inode not in own:
                self.refused.append(f"{place} has {count} names (hard links), so it may be another user's file")

    def _inside(self, directory: Directory, depth: int, shared: Collection[Inode]) -> None:
        for entry in directory.entries():
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            self._entry(directory, entry.name, status, depth, shared)

    def _entry(
        self, directory: Directory, name: str, status: os.stat_result, depth: int, shared: Collection[Inode]
    ) -> None:
        place = directory.place(name)
        if place in self.mounts:
            return
        if self.uid not in (-1, status.st_uid) or self.gid not in (-1, status.st_gid):
            self._own(directory, name, status, shared)
        if not stat.S_ISDIR(status.st_mode):
            return
        if depth >= DEEPEST:
            self.refused.append(f"{place} is more than {DEEPEST} directories deep")
            return
        try:
            inner = directory.enter(name)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return  # exchanged since the look: whoever did it owns what is there now
            raise
        with inner:
            self._inside(inner, depth + 1, shared)

    def _own(self, directory: Directory, name: str, status: os.stat_result, shared: Collection[Inode]) -> None:
        try:
            directory.own(name, self.uid, self.gid, shared=shared)
        except OSError as error:
            if error.errno == errno.EMLINK:
                if not shared:  # counted the first time
                    inode = (status.st_dev, status.st_ino)
                    self._names[inode] += 1
                    self._links[inode] = (status.st_nlink, directory.place(name))
            elif error.errno not in (errno.EROFS, errno.ENOENT):  # a read-only mount of the user's own; gone
                raise


def remove(directory: Directory, name: str) -> None:
    """Remove an entry with everything below it, if it is there. Raises OSError: nothing fails silently."""
    status = directory.status(name)
    if status is None:
        return
    if not stat.S_ISDIR(status.st_mode):
        directory.unlink(name)
        return
    _remove_directory(directory, name, 0)


def _remove_directory(directory: Directory, name: str, depth: int) -> None:
    if depth > DEEPEST:
        raise OSError(errno.ELOOP, f"is more than {DEEPEST} directories deep", directory.place(name))
    with directory.enter(name) as inner:
        for entry in inner.entries():
            if entry.is_dir(follow_symlinks=False):
                _remove_directory(inner, entry.name, depth + 1)
            else:
                inner.unlink(entry.name)
    try:
        os.rmdir(name, dir_fd=directory.fd)
    except FileNotFoundError:
        return
    except OSError as error:
        raise OSError(error.errno, error.strerror, directory.place(name)) from None


def copy(source: Directory, target: Directory) -> Iterator[str]:
    """Copy what is in a directory into another, with owners, modes, times, attributes and links.

    Sockets are left out, their daemons make them again. So are files with several names (hard links) of which one may
    be another user's: they are yielded as paths.
    """
    for entry in source.entries():
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            target.make(entry.name)
            with source.enter(entry.name) as inner, target.enter(entry.name) as place:
                yield from copy(inner, place)
        elif stat.S_ISREG(status.st_mode) and status.st_nlink > 1 and status.st_uid != os.fstat(source.fd).st_uid:
            yield source.place(entry.name)
        else:
            copy_entry(source, entry.name, target, entry.name)
    like(source, target)


def copy_entry(source: Directory, name: str, target: Directory, new: str) -> None:
    """Copy a file, link or pipe, with owner, mode, times and attributes, to where nothing is; a socket is left out."""
    status = source.status(name)
    mode = status.st_mode if status is not None else stat.S_IFREG
    if stat.S_ISREG(mode):
        with open(source.descriptor(name), "rb") as reading, open(target.create(new), "wb") as writing:
            shutil.copyfileobj(reading, writing)
            writing.flush()
            _like(reading.fileno(), writing.fileno())
    elif stat.S_ISLNK(mode):
        target.symlink(new, os.readlink(name, dir_fd=source.fd))
    elif stat.S_ISFIFO(mode) and status is not None:
        os.mkfifo(new, dir_fd=target.fd)
        ids = (status.st_uid, status.st_gid) if os.geteuid() == 0 else (-1, -1)
        target.own(new, *ids, stat.S_IMODE(mode))


def like(source: Directory, target: Directory) -> None:
    """Give a directory the owner, mode, times and attributes of another."""
    _like(source.fd, target.fd)


def _like(source: int, target: int) -> None:
    status = os.fstat(source)
    if os.geteuid() == 0:
        os.fchown(target, status.st_uid, status.st_gid)
    shutil.copystat(f"/proc/self/fd/{source}", f"/proc/self/fd/{target}")
