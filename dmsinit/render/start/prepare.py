"""What a start repairs around the configuration: user ids, time zone, permissions, leftovers of the last run."""

import os
import stat
from collections.abc import Iterable, Set
from itertools import count
from typing import Final

from dmsinit.base import trees
from dmsinit.base.atomic import replace_file, replace_link
from dmsinit.base.beneath import Directory, opened, parent_of
from dmsinit.problem import Problem
from dmsinit.render.paths import LOGS, MAIL, STATE, VOLUME, Root, mount_points
from dmsinit.render.programs import run
from dmsinit.render.services.logs import LogFile

VMAIL: Final = "docker"
"""The user and group that own all mail; the contract's name."""

_ZONES: Final = "/usr/share/zoneinfo"
STARTED_MARK: Final = "/CONTAINER_START"


def vmail_ids(uid: int, gid: int, root: Root) -> list[Problem]:
    """Give the vmail user and group their ids, where they differ (usermod(8), groupmod(8))."""
    commands: list[list[str]] = []
    if root.gid(VMAIL) != gid:
        commands.append(["groupmod", "--non-unique", "--gid", str(gid), VMAIL])
    if root.uid(VMAIL) != uid or commands:
        commands.append(["usermod", "--non-unique", "--uid", str(uid), "--gid", str(gid), VMAIL])
    if root.prefix or os.geteuid() != 0:
        return []  # these tools know only the real /etc/passwd
    for command in commands:
        outcome = run(command)
        if outcome.code:
            cause = f"the vmail user cannot get these ids: {outcome.complaint}"
            return [Problem("DMS_VMAIL_UID, DMS_VMAIL_GID", cause, "use ids that are free in the container")]
    root.forget_ids()
    return []


def shared_id(uid: int, root: Root) -> list[Problem]:
    """Return a warning when DMS_VMAIL_UID is another account of the image, whose files mail processes could change."""
    for line in (root.read("/etc/passwd") or b"").decode("utf-8", "replace").splitlines():
        fields = line.split(":")
        if len(fields) > 2 and fields[2] == str(uid) and fields[0] != VMAIL:
            cause = f"{uid} is also the user {fields[0]} of the image, whose files mail processes can then change"
            return [Problem("DMS_VMAIL_UID", cause, "use an id that is free in the container, such as 5000")]
    return []


def unknown_zone(name: str, root: Root) -> list[Problem]:
    """Return a warning when TZ=`name` is no zone of this image (behaviour 31)."""
    if not name or (os.path.isfile(root(f"{_ZONES}/{name}")) and ".." not in name):
        return []
    return [Problem("TZ", f"{name} is not a time zone of this image", "write Area/City, for example Europe/Berlin")]


def time_zone(name: str, root: Root) -> list[Problem]:
    """Let /etc/localtime point to the zone TZ=`name`; empty leaves it alone. Unknown zones are a warning."""
    unknown = unknown_zone(name, root)
    if unknown or not name:
        return unknown
    zone = f"{_ZONES}/{name}"
    localtime = root("/etc/localtime")
    try:
        if not (os.path.islink(localtime) and os.readlink(localtime) == zone):
            replace_link(localtime, zone)
            replace_file(root("/etc/timezone"), f"{name}\n".encode(), mode=0o644, durable=False)
    except OSError as error:
        cause = f"/etc/localtime cannot be changed: {error.strerror}"
        return [Problem("TZ", cause, "remove TZ, or do not mount /etc/localtime")]
    return []


def enterable(root: Root, directories: Iterable[str] = (VOLUME, STATE)) -> list[Problem]:
    """Let everybody enter the mounted directories (behaviour 35): daemons that are not root reach files in them."""
    warnings = []
    for path in directories:
        try:
            with opened(root(path)) as directory:
                mode = stat.S_IMODE(os.fstat(directory.fd).st_mode)
                directory.own(".", -1, -1, mode | 0o111)
        except FileNotFoundError:
            continue
        except OSError as error:
            cause = f"cannot be made accessible (chmod +x): {error.strerror}"
            warnings.append(Problem(path, cause, "run chmod a+x on it on the host"))
    return warnings


def logs(root: Root, known: Iterable[LogFile] = ()) -> list[Problem]:
    """Repair owners and modes of the mail logs (behaviour 36): the directory syslog:root 755, files 640.

    Logs of services (`known`) are made and given to their owners. A symbolic link that is not root's is removed: root's
    daemons would write to what it leads to. What would keep them from writing, or have them write into another user's
    file, is renamed: a pipe or a directory that is not root's, and a file with a second name (hard link).
    """
    warnings: list[Problem] = []
    try:
        with opened(root(LOGS), make=0o755) as directory:
            for log in known:
                if os.path.dirname(log.path) == LOGS:
                    warnings += _put_aside(directory, os.path.basename(log.path))
            warnings += make_logs(root, known)
            directory.own(".", *_ids(root.uid("syslog") or 0, 0), 0o755)
            for entry in directory.entries():
                warnings += _log(directory, entry.name, root, known)
    except OSError as error:
        return [Problem(LOGS, f"owners and modes cannot be repaired: {error.strerror}", "mount it writable")]
    return warnings


def _put_aside(directory: Directory, name: str) -> list[Problem]:
    """Rename what a daemon cannot write as a log of its own; libexec/plain-log does when that daemon starts."""
    status = directory.status(name)
    if status is None or stat.S_ISLNK(status.st_mode):
        return []
    if stat.S_ISREG(status.st_mode):
        cause = f"has {status.st_nlink} names (hard links), so it may be another user's file"
        if status.st_nlink == 1:
            return []
    else:
        cause = f"was not a regular file, and uid {status.st_uid} had made it"
        if status.st_uid in (0, os.geteuid()):
            return []
    new = next(new for number in count(1) if directory.status(new := f"{name}.aside.{number}") is None)
    directory.rename(name, new)
    return [Problem(f"{LOGS}/{name}", f"{cause}; it was renamed to {new}", "delete it")]


def make_logs(root: Root, known: Iterable[LogFile]) -> list[Problem]:
    """Make the logs of services that are to be made and do not exist; return warnings."""
    warnings = []
    for log in known:
        if not log.create or _owner(log, root) is None:
            continue
        try:
            with parent_of(root(log.path), make=0o755) as (directory, name):
                if directory.status(name) is None:
                    os.close(directory.create(name))
                    directory.own(name, *(_owner(log, root) or (-1, -1)), 0o640)
        except OSError as error:
            warnings.append(Problem(log.path, f"cannot be made: {error.strerror}", "mount its directory writable"))
    return warnings


def _owner(log: LogFile, root: Root) -> tuple[int, int] | None:
    """Return the ids of a log's owner and group (-1: left alone), or None when there is no such owner."""
    if not log.owner:
        return -1, -1
    uid = root.uid(log.owner)
    return None if uid is None else _ids(uid, root.gid(log.group or log.owner) or 0)


def _log(directory: Directory, name: str, root: Root, known: Iterable[LogFile]) -> list[Problem]:
    status = directory.status(name)
    if status is None:
        return []
    if stat.S_ISLNK(status.st_mode) and status.st_uid not in (0, os.geteuid()):
        target = directory.link(name)
        directory.unlink(name)
        cause = f"was a symbolic link to {target} that uid {status.st_uid} had made; it was removed"
        return [Problem(f"{LOGS}/{name}", cause, "if it was yours, make it as root")]
    if stat.S_ISREG(status.st_mode):
        log = next((log for log in known if f"{LOGS}/{name}".startswith(log.path)), None)  # and what was rotated of it
        ids = (-1, -1) if log is None else _owner(log, root) or (-1, -1)
        try:
            directory.own(name, *ids, 0o640)
        except OSError as error:
            return [Problem(f"{LOGS}/{name}", f"{error.strerror}; it stays as it is", "copy it, and delete the other")]
    return []


def _ids(uid: int, gid: int) -> tuple[int, int]:
    return (uid, gid) if os.geteuid() == 0 else (-1, -1)


def stale_pid_files(root: Root) -> int:
    """Remove pid files of the last run in /run (behaviour 15), except dmsinit's own and mounts; return how many."""
    kept = {root(path) for path in (*mount_points(root), "/run/dmsinit")}
    try:
        with opened(root("/run")) as directory:
            return _remove_pid_files(directory, kept, 0)
    except FileNotFoundError:
        return 0


def _remove_pid_files(directory: Directory, kept: Set[str], depth: int) -> int:
    removed = 0
    for entry in directory.entries():
        if directory.place(entry.name) in kept:
            continue
        if entry.is_dir(follow_symlinks=False):
            if depth < trees.DEEPEST:
                with directory.enter(entry.name) as inner:
                    removed += _remove_pid_files(inner, kept, depth + 1)
        elif entry.name.endswith(".pid"):
            directory.unlink(entry.name)
            removed += 1
    return removed


def mail_directory(root: Root, uid: int, gid: int) -> list[Problem]:
    """Make /var/mail, or give the mounted directory itself to the vmail user; its content is repaired elsewhere."""
    try:
        with opened(root(MAIL), make=0o755) as directory:
            directory.own(".", *_ids(uid, gid))
    except OSError as error:
        cause = f"cannot be given to {uid}:{gid}: {error.strerror}"
        return [Problem(MAIL, cause, "mount it writable, with a file system that has owners")]
    return []


def mark_started(root: Root, now: str) -> None:
    """Leave the mark of an initialised container, with the time of its first start."""
    if not root.exists(STARTED_MARK):
        replace_file(root(STARTED_MARK), f"{now}\n".encode(), mode=0o644, durable=False)


def bashrc(present: str, exports: str) -> str:
    """Return root's .bashrc with the exports of all settings in place of those of the last start."""
    begin, end = "# >>> dmsinit: settings of this container\n", "# <<< dmsinit\n"
    head, _, rest = present.partition(begin)
    tail = rest.partition(end)[2]
    if head and not head.endswith("\n"):
        head += "\n"
    return f"{head}{begin}{exports}{end}{tail}"
