"""`dmsctl restore FILE`: bring an archive back into the volumes of a server that does not run.

The archive is proven first. Then nothing is written outside of the volumes, whatever stands in it or in them: names are
checked, directories are opened one by one without following links, and links come last.
"""

import fcntl
import os
import tarfile
from collections.abc import Mapping
from typing import Final

from dmsinit.archive import read
from dmsinit.archive.layout import PATHS, STATE, ArchiveError, Result, split
from dmsinit.archive.stream import STDIO, Progress
from dmsinit.archive.tree import Owners, Restorer
from dmsinit.control.client import SOCKET, SOCKET_VARIABLE

_LEFTOVERS: Final = frozenset({"lost+found"})
_MASTER_LOCK: Final = "spool-postfix/pid/master.pid"
_COMMAND: Final = "docker run --rm -v …(the same volumes) IMAGE dmsctl restore FILE"


def restore(place: str, *, force: bool = False, paths: Mapping[str, str] = PATHS, mounted: bool = True) -> Result:
    """Bring an archive back; `mounted`: only into volumes. Raises ArchiveError."""
    if place == STDIO:
        raise ArchiveError("cannot restore from standard input: an archive is proven before it is used; name a file")
    _refuse_running(paths)
    verified = read.verify(place)
    names = [name for name in PATHS if name in verified.manifest["volumes"]]
    for name in names:
        _refuse_target(paths[name], force=force, mounted=mounted)
    _refuse_without_room(verified, {name: paths[name] for name in names})
    restorer = Restorer({name: paths[name] for name in names}, Owners())
    try:
        with read.opened(place) as tar, Progress("restoring", verified.counts.files) as progress:
            for member in read.members(tar):
                if split(member.name)[0] in paths:
                    _one(restorer, tar, member)
                    progress.add(member.size)
        restorer.finish()
    except OSError as error:
        raise _half_done(error) from None
    finally:
        restorer.close()
    os.sync()
    return Result("restored", place, verified.manifest, verified.counts, restorer.warnings)


def _one(restorer: Restorer, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    try:
        restorer.take(member, read.content(tar, member) if member.isreg() else None)
    except OSError as error:
        raise _half_done(error, member.name) from None


def _half_done(error: OSError, name: str = "") -> ArchiveError:
    what = name or error.filename or "the volumes"
    return ArchiveError(
        f"cannot restore {what}: {error.strerror or error}; the volumes are half restored: "
        "remove the cause and run this again with --force"
    )


# What speaks against it


def _refuse_running(paths: Mapping[str, str]) -> None:
    """Raise ArchiveError while daemons run here, or elsewhere on the same state volume."""
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(os.environ.get(SOCKET_VARIABLE) or SOCKET)
        except OSError:
            pass
        else:
            raise ArchiveError(f"cannot restore while the server runs; stop its container, then: {_COMMAND}")
    if _is_locked(f"{paths[STATE]}/{_MASTER_LOCK}"):
        raise ArchiveError(
            f"cannot restore: a server in another container runs on {paths[STATE]}; stop it and run this again"
        )


def _is_locked(path: str) -> bool:
    """Say whether Postfix's master(8) holds its lock, which it does as long as it runs, in any container."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # this file system has no locks
        return False
    finally:
        os.close(fd)
    return False


def _refuse_target(path: str, *, force: bool, mounted: bool) -> None:
    if not os.path.isdir(path) or (mounted and not _is_volume(path)):
        raise ArchiveError(
            f"cannot restore: {path} is not a volume: what is restored there would be lost with the container; "
            f"add -v …:{path}"
        )
    if not force and any(name not in _LEFTOVERS for name in os.listdir(path)):
        raise ArchiveError(
            f"cannot restore: {path} is not empty; use an empty volume, or add --force to restore over what is there "
            "(files of the same name are replaced, others stay)"
        )


def _is_volume(path: str) -> bool:
    """Say whether something is mounted at `path`, or at a directory above that is not the root."""
    place = os.path.realpath(path)
    while place != "/":
        if os.path.ismount(place) or _is_bind_mount(place):
            return True
        place = os.path.dirname(place)
    return False


def _is_bind_mount(path: str) -> bool:
    """Find what os.path.ismount cannot: a directory of the same file system (proc_pid_mountinfo(5), field 5)."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
        return any(line.split(" ", 5)[4].replace("\\040", " ") == path for line in mounts)


def _refuse_without_room(verified: Result, paths: Mapping[str, str]) -> None:
    """Raise ArchiveError where a file system has less room than what is to come onto it."""
    needed: dict[int, int] = {}
    room: dict[int, int] = {}
    for name, path in paths.items():
        device = os.stat(path).st_dev
        needed[device] = needed.get(device, 0) + int(verified.manifest["volumes"][name]["bytes"])
        status = os.statvfs(path)
        room[device] = status.f_bavail * status.f_frsize
        if needed[device] > room[device]:
            from dmsinit.base import text

            raise ArchiveError(
                f"cannot restore: {path} has {text.size(room[device])} left, {text.size(needed[device])} are needed"
            )
