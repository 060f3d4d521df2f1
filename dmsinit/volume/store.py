"""Replace a file of the config volume so that a reader sees the old content or the new, never a part.

The rule: a temporary file in the same directory gets the content, mode and owner, is synced, and renamed over the old
one. Where that is impossible (the file itself is a bind mount, or only the file and not its directory may be written)
the file is overwritten in place, its old content put back if that fails; whoever watches the file must wait for the end
of the writing (IN_CLOSE_WRITE).
"""

import errno
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from dmsinit.base.beneath import Directory, behind, owner_of
from dmsinit.base.mounts import MOUNTINFO, parse, replaced
from dmsinit.volume.errors import EditError

_IS_MOUNTED: Final = (errno.EBUSY, errno.EXDEV)
_MAY_NOT: Final = (errno.EROFS, errno.EACCES, errno.EPERM)


def load(path: Path) -> bytes:
    """Return the content of a file, or nothing when it does not exist. Raises EditError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise EditError(f"cannot read {path}: {error.strerror}; make it a readable file") from error


def replace(path: Path, data: bytes, *, new_mode: int, volume: Path | None = None) -> None:
    """Give a file new content, keeping mode and owner; a new file gets `new_mode` and the owner of its directory.

    A symbolic link is followed where only root or the owner of `volume` (default: the file's directory) can have made
    it. Raises EditError; the old content is then still there.
    """
    try:
        with behind(str(path), owner_of(str(volume or path.parent))) as (directory, name):
            before = directory.status(name)
            if replaced(directory.place(name), parse(Path(MOUNTINFO).read_text(errors="surrogateescape"))):
                raise EditError(
                    f"cannot change {path}: it is mounted by itself and was replaced on the host since; a change would "
                    "be lost; recreate the container, and mount the directory instead of single files"
                )
            if not _replace_by_rename(directory, name, data, before, new_mode):
                _overwrite(directory, name, data)
    except OSError as error:
        raise EditError(f"cannot change {path}: {_cause(error)}; nothing was changed") from error


def _cause(error: OSError) -> str:
    if error.errno == errno.EROFS:
        return "the config volume is mounted read-only (mount it without :ro)"
    return error.strerror or str(error)


def _replace_by_rename(
    directory: Directory, name: str, data: bytes, before: os.stat_result | None, new_mode: int
) -> bool:
    """Return False when the file exists but only its content may be changed."""
    temporary = f".{name}.{secrets.token_hex(6)}"
    try:
        _write_new(directory, temporary, data, before, new_mode)
        directory.rename(temporary, name)
    except OSError as error:
        if before is not None and error.errno in (*_IS_MOUNTED, *_MAY_NOT):
            return False
        raise
    finally:
        # A read-only file system refuses even to delete what does not exist.
        with suppress(OSError):
            directory.unlink(temporary)
    _sync_directory(directory.fd)
    return True


def _write_new(directory: Directory, name: str, data: bytes, before: os.stat_result | None, new_mode: int) -> None:
    fd = directory.create(name)
    try:
        if before is not None:
            os.fchown(fd, before.st_uid, before.st_gid)
            os.fchmod(fd, stat.S_IMODE(before.st_mode))
        else:
            _give_to_owner_of(directory.fd, fd)
            os.fchmod(fd, new_mode)
        _write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)


def _give_to_owner_of(directory: int, fd: int) -> None:
    """Let whoever owns the volume on the host edit the file there; where that is not allowed, it is not needed."""
    owner = os.fstat(directory)
    try:
        os.fchown(fd, owner.st_uid, owner.st_gid)
    except PermissionError:
        return


def _overwrite(directory: Directory, name: str, data: bytes) -> None:
    old = directory.read(name) or b""
    fd = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory.fd)
    try:
        try:
            _write_all(fd, data)
        except OSError:
            os.lseek(fd, 0, os.SEEK_SET)
            _write_all(fd, old)
            os.ftruncate(fd, len(old))
            raise
        os.ftruncate(fd, len(data))
        os.fsync(fd)
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _sync_directory(fd: int) -> None:
    try:
        os.fsync(fd)
    except OSError as error:
        # Some file systems of desktop engines cannot sync directories; the file itself is safe.
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
