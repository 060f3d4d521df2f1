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


def replace(path: Path, data: bytes, *, new_mode: int) -> None:
    """Give a file new content, keeping mode and owner; a new file gets `new_mode` and the owner of its directory.

    A symbolic link is followed. Raises EditError; the old content is then still there.
    """
    target = Path(os.path.realpath(path))
    try:
        before = target.stat() if target.exists() else None
        if not _replace_by_rename(target, data, before, new_mode):
            _overwrite(target, data)
    except OSError as error:
        raise EditError(f"cannot change {path}: {_cause(error)}; nothing was changed") from error


def _cause(error: OSError) -> str:
    if error.errno == errno.EROFS:
        return "the config volume is mounted read-only (mount it without :ro)"
    return error.strerror or str(error)


def _replace_by_rename(target: Path, data: bytes, before: os.stat_result | None, new_mode: int) -> bool:
    """Return False when the file exists but only its content may be changed."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    try:
        _write_new(temporary, data, before, target.parent, new_mode)
        temporary.rename(target)
    except OSError as error:
        if before is not None and error.errno in (*_IS_MOUNTED, *_MAY_NOT):
            return False
        raise
    finally:
        # A read-only file system refuses even to delete what does not exist.
        with suppress(OSError):
            temporary.unlink()
    _sync_directory(target.parent)
    return True


def _write_new(path: Path, data: bytes, before: os.stat_result | None, directory: Path, new_mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if before is not None:
            os.fchown(fd, before.st_uid, before.st_gid)
            os.fchmod(fd, stat.S_IMODE(before.st_mode))
        else:
            _give_to_owner_of(directory, fd)
            os.fchmod(fd, new_mode)
        _write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)


def _give_to_owner_of(directory: Path, fd: int) -> None:
    """Let whoever owns the volume on the host edit the file there; where that is not allowed, it is not needed."""
    owner = directory.stat()
    try:
        os.fchown(fd, owner.st_uid, owner.st_gid)
    except PermissionError:
        return


def _overwrite(target: Path, data: bytes) -> None:
    old = target.read_bytes()
    fd = os.open(target, os.O_WRONLY | os.O_CLOEXEC)
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


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        # Some file systems of desktop engines cannot sync directories; the file itself is safe.
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
    finally:
        os.close(fd)
