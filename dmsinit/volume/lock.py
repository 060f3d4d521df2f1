"""One writer at a time in the config volume.

`exclusive` is flock(2) on the directory itself: it leaves nothing behind, and the kernel drops it with its holder.
`lock_file` is the visible lock `NAME.lock` that containers sharing a volume know from each other: it holds one line,
a random id; a foreign one is waited for, and one that is older than a minute is removed with a warning.
"""

import errno
import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from dmsinit.volume.errors import EditError

STALE_SECONDS: Final = 60.0
RETRY_SECONDS: Final = 5.0
FALLBACK_NAME: Final = "setup.lock"
_NO_FLOCK: Final = (errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""What network and desktop file systems answer that do not lock directories."""

Tell = Callable[[str], None]


def unheard(_: str) -> None:
    """Tell nobody."""


@contextmanager
def exclusive(directory: Path, tell: Tell = unheard) -> Iterator[None]:
    """Hold the only right to edit the config volume; it is created when absent. `tell` hears whom we wait for.

    Raises EditError when the directory cannot be opened.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise EditError(f"cannot open {directory}: {error.strerror}; mount the config volume there") from error
    try:
        if _flock(fd, tell):
            yield
        else:
            with lock_file(directory, FALLBACK_NAME, tell):
                yield
    finally:
        os.close(fd)


def _flock(fd: int, tell: Tell) -> bool:
    """Return False when the file system knows no flock on directories."""
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("waiting for another setup command to finish")
            fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno in _NO_FLOCK:
            return False
        raise EditError(f"cannot lock the config volume: {error.strerror}") from error
    return True


@contextmanager
def lock_file(
    directory: Path,
    name: str,
    tell: Tell = unheard,
    *,
    stale_seconds: float = STALE_SECONDS,
    retry_seconds: float = RETRY_SECONDS,
) -> Iterator[None]:
    """Hold the visible lock `name`; raises EditError when it cannot be made."""
    path = directory / name
    token = secrets.token_hex(16) + "\n"
    while not _create(path, token):
        age = _age_seconds(path)
        if age is None:
            continue
        if age > stale_seconds:
            tell(f"{path} is older than a minute, so whoever made it is gone; it is removed")
            path.unlink(missing_ok=True)
        else:
            tell(f"waiting for {path}, which another process or container holds")
            time.sleep(min(retry_seconds, stale_seconds - age + 0.01))
    try:
        yield
    finally:
        with suppress(OSError):
            if path.read_text() == token:
                path.unlink()


def _create(path: Path, token: str) -> bool:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        return False
    except OSError as error:
        cause = "the config volume is mounted read-only" if error.errno == errno.EROFS else error.strerror
        raise EditError(f"cannot lock {path.parent}: {cause}; make it writable") from error
    try:
        os.write(fd, token.encode())
    finally:
        os.close(fd)
    return True


def _age_seconds(path: Path) -> float | None:
    """Return how long ago a file was written; None when it is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return None
