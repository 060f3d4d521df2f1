"""Files in directories that other users can write, reached by descriptors.

A path is walked one name at a time (openat(2) with O_NOFOLLOW). A symbolic link on the way is followed only where
nobody but root, or the user of this process, can have put it: in a directory that belongs to one of them and that no
other user or group can write, below directories of the same kind. In a sticky directory the link itself must belong to
one of them. Anywhere else a link is an error (OSError, ELOOP), whoever owns it: another user may have moved it there.

Every operation then takes one name in an open directory, so that nothing can be exchanged between a look and a deed.
"""

import errno
import os
import stat
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final, Literal, NamedTuple, Self

DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BY_NAME: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS: Final = 40
"""As many as the kernel follows in one path (path_resolution(7))."""
_WRITABLE: Final = stat.S_IWGRP | stat.S_IWOTH


class Trust(NamedTuple):
    """Whose links are followed: those in directories of `owners`; without `modes`, whoever else can write there."""

    owners: frozenset[int]
    modes: bool = True

    def alone(self, status: os.stat_result) -> bool:
        """Return whether only the trusted can add, rename or remove names in a directory."""
        if status.st_uid not in self.owners:
            return False
        open_to = status.st_mode & _WRITABLE
        if status.st_gid in (0, os.getegid()):
            open_to &= ~stat.S_IWGRP
        return not self.modes or not open_to

    def sticky(self, status: os.stat_result) -> bool:
        """Return whether others can add names to a directory, but not exchange those of the trusted."""
        return status.st_uid in self.owners and bool(status.st_mode & stat.S_ISVTX)


def administrators() -> Trust:
    """Trust root, and the user of this process."""
    return Trust(frozenset({0, os.geteuid()}))


def owner_of(directory: str) -> Trust:
    """Trust root and whoever owns `directory`: the config volume, whose owner can run programs as root anyway."""
    return Trust(frozenset({0, os.geteuid(), os.stat(directory).st_uid}), modes=False)


class Directory:
    """An open directory; every method takes a name in it and follows no link there. A context manager.

    `path` is for messages. All methods raise OSError with the path of the entry.
    """

    __slots__ = ("_alone", "_sticky", "_trust", "fd", "path")

    def __init__(self, fd: int, path: str, trust: Trust, *, above: bool = True) -> None:
        status = os.fstat(fd)
        self.fd, self.path, self._trust = fd, path, trust
        self._alone = above and trust.alone(status)
        self._sticky = above and trust.sticky(status)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self.fd)

    def place(self, name: str) -> str:
        """Return the path of an entry, for messages."""
        return f"{self.path.rstrip('/')}/{name}"

    # Looking

    def status(self, name: str) -> os.stat_result | None:
        """Return what lstat(2) tells of an entry, None when there is none."""
        try:
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def is_directory(self, name: str) -> bool:
        """Return whether an entry is a directory, and not a link to one."""
        status = self.status(name)
        return status is not None and stat.S_ISDIR(status.st_mode)

    def entries(self) -> list[os.DirEntry[str]]:
        """Return what is in the directory, by name; `entry.stat(follow_symlinks=False)` asks by descriptor."""
        with os.scandir(self.fd) as found:
            return sorted(found, key=lambda entry: entry.name)

    def link(self, name: str) -> str | None:
        """Return the target of a symbolic link, None for anything else."""
        try:
            return os.readlink(name, dir_fd=self.fd)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):
                return None
            raise

    def link_to_follow(self, name: str) -> str | None:
        """Return the target of a symbolic link, None for anything else; a link of somebody else's is an error."""
        target = self.link(name)
        if target is None or self._alone:
            return target
        status = self.status(name)
        if self._sticky and status is not None and status.st_uid in self._trust.owners:
            return target
        raise OSError(errno.ELOOP, f"is a symbolic link to {target} that another user may have made", self.place(name))

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a regular file, None when there is none; anything else is an error."""
        try:
            fd = self.descriptor(name)
        except FileNotFoundError:
            return None
        with open(fd, "rb") as file:
            return file.read()

    def descriptor(self, name: str) -> int:
        """Open a regular file for reading; a pipe or a device in its place is an error."""
        fd = self._by_name(name)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OSError(errno.EINVAL, "is not a regular file", self.place(name))
            return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(fd)

    def enter(self, name: str) -> "Directory":
        """Open a directory in this one."""
        try:
            fd = os.open(name, DIRECTORY, dir_fd=self.fd)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP) and (target := self.link(name)) is not None:
                cause = f"is a symbolic link to {target} that another user may have made"
                raise OSError(errno.ELOOP, cause, self.place(name)) from None
            raise OSError(error.errno, error.strerror, self.place(name)) from None
        return Directory(fd, self.place(name), self._trust, above=self._ours(os.fstat(fd)))

    # Changing

    def make(self, name: str, mode: int = 0o700) -> bool:
        """Make a directory; return False when something has that name already."""
        try:
            os.mkdir(name, mode, dir_fd=self.fd)
        except FileExistsError:
            return False
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.place(name)) from None
        return True

    def create(self, name: str) -> int:
        """Return the descriptor of a new file, for writing, that nobody else can open yet."""
        try:
            return os.open(name, _NEW, 0o600, dir_fd=self.fd)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.place(name)) from None

    def symlink(self, name: str, target: str) -> None:
        """Make a symbolic link where nothing is."""
        os.symlink(target, name, dir_fd=self.fd)

    def rename(self, name: str, new: str, into: "Directory | None" = None) -> None:
        """Give an entry a new name, here or in another directory, in place of what has that name (rename(2))."""
        try:
            os.rename(name, new, src_dir_fd=self.fd, dst_dir_fd=(into or self).fd)
        except OSError as error:
            raise OSError(error.errno, error.strerror, (into or self).place(new)) from None

    def unlink(self, name: str) -> None:
        """Remove a name that is not a directory's, if there is one."""
        try:
            os.unlink(name, dir_fd=self.fd)
        except FileNotFoundError:
            return
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.place(name)) from None

    def own(self, name: str, uid: int, gid: int, mode: int = -1, *, shared: Collection[tuple[int, int]] = ()) -> bool:
        """Give an entry its owner, group and mode, each unless -1, where they differ; return whether they did.

        A regular file with a second name (hard link) keeps its owner, because it may be another user's file: an error
        (EMLINK), unless its device and inode are among `shared`. Of a symbolic link only the owner is changed.
        """
        fd = self._by_name(name)
        try:
            status = os.fstat(fd)
            owner = uid not in (-1, status.st_uid) or gid not in (-1, status.st_gid)
            # A change of owner takes rights away from the mode.
            moded = mode >= 0 and not stat.S_ISLNK(status.st_mode) and (owner or stat.S_IMODE(status.st_mode) != mode)
            many = stat.S_ISREG(status.st_mode) and status.st_nlink > 1
            if many and (owner or (moded and uid == -1)) and (status.st_dev, status.st_ino) not in shared:
                cause = f"has {status.st_nlink} names (hard links), so it may be another user's file"
                raise OSError(errno.EMLINK, cause, self.place(name))
            # Its entry in /proc leads to the very inode that was looked at, links included.
            if owner:
                os.chown(f"/proc/self/fd/{fd}", uid, gid)
            if moded:
                os.chmod(f"/proc/self/fd/{fd}", mode)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.place(name)) from None
        finally:
            os.close(fd)
        return owner or moded

    def _by_name(self, name: str) -> int:
        try:
            return os.open(name, _BY_NAME, dir_fd=self.fd)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.place(name)) from None

    def _ours(self, status: os.stat_result) -> bool:
        """Return whether nobody else can have put an entry with this status here."""
        return self._alone or (self._sticky and status.st_uid in self._trust.owners)


@contextmanager
def opened(path: str, trust: Trust | None = None, *, make: int = 0) -> Iterator[Directory]:
    """Yield the directory at `path`, following links of the trusted (`administrators` by default) only.

    `make`: the mode of directories that are made where they are missing; 0: that is an error.
    """
    with _walk(path, trust or administrators(), to="directory", make=make) as (directory, _):
        yield directory


@contextmanager
def parent_of(path: str, trust: Trust | None = None, *, make: int = 0) -> Iterator[tuple[Directory, str]]:
    """Yield the directory that holds `path`, and the name in it, which may be anything or nothing; `make` as above."""
    with _walk(path, trust or administrators(), to="parent", make=make) as found:
        yield found


@contextmanager
def behind(path: str, trust: Trust | None = None) -> Iterator[tuple[Directory, str]]:
    """Yield what `parent_of` does, after following `path` itself too, where it is a link of the trusted."""
    with _walk(path, trust or administrators(), to="end", make=0) as found:
        yield found


def _entered(here: Directory, name: str, make: int) -> Directory:
    try:
        return here.enter(name)
    except FileNotFoundError:
        if not make:
            raise
    here.make(name, make)
    return here.enter(name)


@contextmanager
def _walk(
    path: str, trust: Trust, *, to: Literal["directory", "parent", "end"], make: int
) -> Iterator[tuple[Directory, str]]:
    names = deque(os.path.abspath(path).split("/")[1:])
    above = [Directory(os.open("/", DIRECTORY), "/", trust)]
    links = 0
    try:
        while names:
            name, here = names.popleft(), above[-1]
            if name in ("", "."):
                continue
            if name == "..":
                if len(above) > 1:
                    above.pop().close()
                continue
            last = not any(names)
            if last and to == "parent":
                yield here, name
                return
            target = here.link_to_follow(name)
            if target is not None:
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                names.extendleft(reversed(target.split("/")))
                while target.startswith("/") and len(above) > 1:
                    above.pop().close()
            elif last and to == "end":
                yield here, name
                return
            else:
                above.append(_entered(here, name, make))
        yield above[-1], "."
    finally:
        for directory in above:
            directory.close()
