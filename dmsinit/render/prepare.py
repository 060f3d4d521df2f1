"""What a start repairs around the configuration: user ids, time zone, permissions, leftovers of the last run."""

import os
import stat
from collections.abc import Iterable
from typing import Final

from dmsinit.problem import Problem
from dmsinit.render.atomic import replace_file, replace_link
from dmsinit.render.paths import LOGS, MAIL, STATE, VOLUME, Root, mount_points
from dmsinit.render.processes import run

VMAIL: Final = "docker"
"""The user and group that own all mail; the contract's name."""

_ZONES: Final = "/usr/share/zoneinfo"
STARTED_MARK: Final = "/CONTAINER_START"
_LOG_OWNERS: Final = {"clamav.log": ("clamav", "adm"), "freshclam.log": ("clamav", "adm")}


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
    for directory in directories:
        try:
            mode = stat.S_IMODE(os.stat(root(directory)).st_mode)
            if mode & 0o111 != 0o111:
                os.chmod(root(directory), mode | 0o111)
        except FileNotFoundError:
            continue
        except OSError as error:
            cause = f"cannot be made accessible (chmod +x): {error.strerror}"
            warnings.append(Problem(directory, cause, "run chmod a+x on it on the host"))
    return warnings


def logs(root: Root) -> list[Problem]:
    """Repair owners and modes of the mail logs (behaviour 36): the directory syslog:root 755, files 640.

    Logs of daemons that may not make files there are made for them.
    """
    directory = root(LOGS)
    try:
        os.makedirs(directory, exist_ok=True)
        owner = (root.uid("syslog") or 0, 0)
        _correct(directory, owner, 0o755)
        for name in (name for name, owners in _LOG_OWNERS.items() if root.uid(owners[0]) is not None):
            os.close(os.open(f"{directory}/{name}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640))
        for entry in os.scandir(directory):
            if entry.is_file(follow_symlinks=False):
                _correct(entry.path, _log_owner(entry.name, entry.stat().st_uid, entry.stat().st_gid, root), 0o640)
    except OSError as error:
        return [Problem(LOGS, f"owners and modes cannot be repaired: {error.strerror}", "mount it writable")]
    return []


def _log_owner(name: str, uid: int, gid: int, root: Root) -> tuple[int, int]:
    names = next((owner for log, owner in _LOG_OWNERS.items() if name.startswith(log)), None)
    if names is None:
        return uid, gid
    return (root.uid(names[0]) or 0, root.gid(names[1]) or 0)


def _correct(path: str, owner: tuple[int, int], mode: int) -> None:
    status = os.stat(path)
    if os.geteuid() == 0 and (status.st_uid, status.st_gid) != owner:
        os.chown(path, *owner)
    if stat.S_IMODE(status.st_mode) != mode:
        os.chmod(path, mode)


def stale_pid_files(root: Root) -> int:
    """Remove pid files of the last run in /run (behaviour 15), except dmsinit's own and mounts; return how many."""
    removed = 0
    kept = {root(path) for path in (*mount_points(root), "/run/dmsinit")}
    for parent, directories, names in os.walk(root("/run")):
        directories[:] = [name for name in directories if f"{parent}/{name}" not in kept]
        for path in (f"{parent}/{name}" for name in names if name.endswith(".pid")):
            if path not in kept:
                os.unlink(path)
                removed += 1
    return removed


def mail_directory(root: Root, uid: int, gid: int) -> list[Problem]:
    """Make /var/mail, or give the mounted directory itself to the vmail user; its content is repaired elsewhere."""
    try:
        os.makedirs(root(MAIL), exist_ok=True)
        status = os.stat(root(MAIL))
        if os.geteuid() == 0 and (status.st_uid, status.st_gid) != (uid, gid):
            os.chown(root(MAIL), uid, gid)
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
