"""One writer at a time in the config volume.

`exclusive` is flock(2) on the directory itself: it leaves nothing behind, and the kernel drops it with its holder.
`lock_file` is the visible lock `NAME.lock` that containers sharing a volume know from each other: it holds one line,
a random id; a foreign one is waited for, and one that is older than a minute is taken over with a warning. Its holder
refreshes its time while it is at work.
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
_REFRESHES: Final = 6.0
"""How often a lock is refreshed in the time in which it would become stale."""
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
    trace: Tell = unheard,
    stale_seconds: float = STALE_SECONDS,
    retry_seconds: float = RETRY_SECONDS,
) -> Iterator[None]:
    """Hold the visible lock `name`, and keep it young meanwhile; raises EditError when it cannot be made.

    Do not ask a person while it is held: others would wait as long. `trace` hears of making and removing it.
    """
    path, token = directory / name, secrets.token_hex(16) + "\n"
    trace(f"Creating lock '{path}'")
    while (fd := _create(path, token)) is None:
        age = _age_seconds(path)
        if age is None:
            continue
        if age > stale_seconds:
            if (fd := _take_over(path, token, stale_seconds)) is not None:
                tell(f"removing stale lock file '{path}': it is older than a minute, so its owner is gone")
                break
        else:
            tell(f"Lock file '{path}' exists: another process or container holds it; waiting")
            time.sleep(min(retry_seconds, stale_seconds - age + 0.01))
    held = _Held(path, fd, token)
    with held.kept_young(stale_seconds / _REFRESHES):
        try:
            yield
        finally:
            held.release()
            trace(f"Removed lock '{path}'")


class _Held:
    """A lock file that is ours: `fd` is open, and the file holds `token` unless somebody took it over."""

    def __init__(self, path: Path, fd: int, token: str) -> None:
        self._path, self._fd, self._token = path, fd, token

    @contextmanager
    def kept_young(self, every_seconds: float) -> Iterator[None]:
        """Refresh the file's time from a thread: whoever holds the lock may be busy for minutes."""
        import threading  # most edits take no lock file

        done = threading.Event()

        def refresh() -> None:
            while not done.wait(every_seconds) and self._fd >= 0:
                # While the process acts as another user, it has no right to; the next time it has.
                with suppress(OSError), _flocked(self._fd):
                    if self._is_ours():
                        os.utime(self._fd)

        keeper = threading.Thread(target=refresh, name="lock", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            done.set()
            keeper.join()
            os.close(self._fd)

    def release(self) -> None:
        """Remove the file, unless it is somebody else's by now."""
        with suppress(OSError), _flocked(self._fd):
            if self._is_ours():
                self._path.unlink()

    def _is_ours(self) -> bool:
        return _is_at(self._path, self._fd) and os.pread(self._fd, 64, 0) == self._token.encode()


def _create(path: Path, token: str) -> int | None:
    """Return the descriptor of a new lock file, None when there is one."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        return None
    except OSError as error:
        cause = "the config volume is mounted read-only" if error.errno == errno.EROFS else error.strerror
        raise EditError(f"cannot lock {path.parent}: {cause}; make it writable") from error
    os.write(fd, token.encode())
    return fd


def _take_over(path: Path, token: str, stale_seconds: float) -> int | None:
    """Make a stale lock file ours, in place; None when somebody else was faster, or its holder is back."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EditError(f"cannot take over {path}: {error.strerror}; delete it") from error
    with _flocked(fd):
        if _is_at(path, fd) and time.time() - os.fstat(fd).st_mtime > stale_seconds:
            os.ftruncate(fd, 0)
            os.pwrite(fd, token.encode(), 0)
            return fd
    os.close(fd)
    return None


@contextmanager
def _flocked(fd: int) -> Iterator[None]:
    """Keep others from taking a lock file over for the moment that a look and a deed take."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_FLOCK:
            raise
    try:
        yield
    finally:
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_UN)


def _is_at(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(fd))
    except FileNotFoundError:
        return False


def _age_seconds(path: Path) -> float | None:
    """Return how long ago a file was written; None when it is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return None
