"""Writing members of an archive into directories: owners, modes, times, attributes, and never through a link."""

import grp
import os
import pwd
import stat
import tarfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Final

from dmsinit.archive.layout import LOGS, STATE, XATTR, split

_CHUNK_BYTES: Final = 1 << 20
_NEW: Final = ".dmsinit-restore"
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Owners:
    """Numeric owners as archived; of state and logs those of this image's users of the same name, where it has them.

    State and logs belong to services, whose numeric ids may differ between releases of the image.
    """

    def __init__(
        self,
        user: Callable[[str], int] = lambda name: pwd.getpwnam(name).pw_uid,
        group: Callable[[str], int] = lambda name: grp.getgrnam(name).gr_gid,
    ) -> None:
        self._user, self._group = user, group
        self._known: dict[tuple[str, str], int | None] = {}

    def of(self, member: tarfile.TarInfo) -> tuple[int, int]:
        """Return the numeric user and group that a member gets."""
        if split(member.name)[0] not in (STATE, LOGS):
            return member.uid, member.gid
        uid, gid = self._ask("user", member.uname), self._ask("group", member.gname)
        return (member.uid if uid is None else uid), (member.gid if gid is None else gid)

    def _ask(self, kind: str, name: str) -> int | None:
        if (kind, name) not in self._known:
            try:
                self._known[kind, name] = (self._user if kind == "user" else self._group)(name)
            except KeyError:
                self._known[kind, name] = None
        return self._known[kind, name]


class Restorer:
    """Takes members in the order of the archive; `finish` makes the links and gives directories their times."""

    def __init__(self, paths: Mapping[str, str], owners: Owners) -> None:
        self.warnings: list[str] = []
        self._owners = owners
        self._may_own = os.geteuid() == 0
        self._roots = {name: os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) for name, path in paths.items()}
        self._parent: tuple[str, int] = ("", -1)
        self._directories: list[tarfile.TarInfo] = []
        self._links: list[tarfile.TarInfo] = []
        self._without_attributes = 0
        if not self._may_own:
            self.warnings.append("owners are not restored: permission denied; run this as root")

    def take(self, member: tarfile.TarInfo, content: IO[bytes] | None) -> None:
        """Bring one member back. Raises OSError."""
        if member.isdir():
            self._make_directory(member)
            self._directories.append(member)
        elif content is not None:
            self._write(member, content)
        else:
            self._links.append(member)

    def finish(self) -> None:
        """Make links, and give directories what writing into them has changed. Raises OSError."""
        for member in self._links:
            self._link(member)
        for member in reversed(self._directories):
            fd = self._open_directory(member.name)
            try:
                self._dress(fd, member)
            finally:
                os.close(fd)
        if self._without_attributes:
            self.warnings.append(
                f"{self._without_attributes} files lost extended attributes, which this file system does not take"
            )

    def close(self) -> None:
        """Close what is open."""
        self._leave()
        for fd in self._roots.values():
            os.close(fd)

    # One each

    def _make_directory(self, member: tarfile.TarInfo) -> None:
        parent, name = self._place(member.name)
        if name:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=parent)
            os.close(os.open(name, _DIRECTORY, dir_fd=parent))  # a link in its place is an error

    def _write(self, member: tarfile.TarInfo, content: IO[bytes]) -> None:
        parent, name = self._place(member.name)
        temporary = _temporary(name)
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=parent)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(temporary, flags, 0o600, dir_fd=parent)
        try:
            with os.fdopen(fd, "wb", closefd=False) as file:
                while data := content.read(_CHUNK_BYTES):
                    file.write(data)
            self._dress(fd, member)
            os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
        except OSError:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=parent)
            raise
        finally:
            os.close(fd)

    def _link(self, member: tarfile.TarInfo) -> None:
        source = os.dup(self._place(member.linkname)[0]) if member.islnk() else -1
        try:
            parent, name = self._place(member.name)
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=parent)
            if member.issym():
                os.symlink(member.linkname, name, dir_fd=parent)
                if self._may_own:
                    os.chown(name, *self._owners.of(member), dir_fd=parent, follow_symlinks=False)
                os.utime(name, (member.mtime, member.mtime), dir_fd=parent, follow_symlinks=False)
            else:
                first = os.path.basename(member.linkname)
                os.link(first, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            if source >= 0:
                os.close(source)

    def _dress(self, fd: int, member: tarfile.TarInfo) -> None:
        """Give a file or directory its owner, mode, attributes and time, in the order in which they undo each other."""
        if self._may_own:
            os.fchown(fd, *self._owners.of(member))
        os.fchmod(fd, stat.S_IMODE(member.mode))
        try:
            for header, value in member.pax_headers.items():
                if header.startswith(XATTR):
                    os.setxattr(fd, header.removeprefix(XATTR), value.encode("utf-8", "surrogateescape"))
        except OSError:
            self._without_attributes += 1
        os.utime(fd, (member.mtime, member.mtime))

    # Places

    def _place(self, name: str) -> tuple[int, str]:
        """Return an open parent directory and the name in it ("": the volume itself)."""
        volume, path = split(name)
        above, _, last = path.rpartition("/")
        return self._enter(f"{volume}/{above}" if above else volume), last

    def _enter(self, name: str) -> int:
        """Return an open directory, that of the last call if it is the same."""
        if self._parent[0] != name:
            fd = self._open_directory(name)
            self._leave()
            self._parent = (name, fd)
        return self._parent[1]

    def _open_directory(self, name: str) -> int:
        """Open a directory step by step, so that no link in between is followed."""
        volume, path = split(name)
        fd = os.dup(self._roots[volume])
        for part in path.split("/") if path else ():
            try:
                inner = os.open(part, _DIRECTORY, dir_fd=fd)
            finally:
                os.close(fd)
            fd = inner
        return fd

    def _leave(self) -> None:
        if self._parent[1] >= 0:
            os.close(self._parent[1])
        self._parent = ("", -1)


def _temporary(name: str) -> str:
    """Return a name beside `name` that is no longer than file systems allow (255 bytes)."""
    encoded = os.fsencode(name)[: 255 - len(_NEW)]
    return os.fsdecode(encoded) + _NEW
