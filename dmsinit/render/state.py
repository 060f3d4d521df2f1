"""Service state on one mount: /var/lib/NAME becomes a link to /var/mail-state/lib-NAME (state.tsv).

Nothing is ever lost: a directory is copied under a temporary name, renamed, and only then taken away. What is on the
state volume wins over what the image brings, and a mount of the user's own over both.
"""

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from typing import Final

from dmsinit.problem import Problem
from dmsinit.render import getmail, rspamd, srs
from dmsinit.render.atomic import replace_link
from dmsinit.render.paths import STATE, Root, mount_points
from dmsinit.settings import Settings

_COPYING: Final = ".dmsinit-copy"


@dataclass(frozen=True)
class StateDirectory:
    """One row of state.tsv. `owner` and `group` (empty: left alone) are for everything below, `top` for itself."""

    path: str
    name: str
    owner: str = ""
    group: str = ""
    top: tuple[str, str] = ("", "")
    special: tuple[tuple[str, str, str, int], ...] = ()
    """Subdirectories with another owner, group and mode; their content keeps `owner` and has their group."""
    leftovers: tuple[str, ...] = ()
    """What is deleted at every start."""
    when: Callable[[Settings], bool] = lambda settings: True


DIRECTORIES: Final = (
    StateDirectory("/var/lib/logrotate", "lib-logrotate", "root", "root"),
    StateDirectory("/var/lib/postfix", "lib-postfix", "postfix", "postfix"),
    StateDirectory(
        "/var/spool/postfix", "spool-postfix", "postfix", "root", top=("root", "root"),
        special=(
            ("maildrop", "postfix", "postdrop", 0o730),
            ("public", "postfix", "postdrop", 0o710),
            ("pid", "root", "root", 0o755),
        ),
        # A chroot of former releases; Postfix makes what it needs of it again.
        leftovers=("dev", "etc", "lib", "usr", "private/auth"),
    ),
    StateDirectory("/var/lib/dovecot", "lib-dovecot", when=lambda settings: not settings.smtp_only),
    StateDirectory("/var/lib/fail2ban", "lib-fail2ban", when=lambda settings: settings.enable_fail2ban),
    StateDirectory(
        "/var/lib/postgrey", "lib-postgrey", "postgrey", "postgrey", when=lambda settings: settings.enable_postgrey
    ),
    StateDirectory(
        "/var/lib/fetchmail", "lib-fetchmail", "fetchmail", "nogroup", when=lambda settings: settings.enable_fetchmail
    ),
    StateDirectory("/var/lib/getmail", "lib-getmail", when=lambda settings: settings.enable_getmail),
    StateDirectory(
        "/var/lib/mta-sts", "lib-mta-sts", "_mta-sts", "_mta-sts", when=lambda settings: settings.enable_mta_sts
    ),
    StateDirectory(
        "/var/lib/rspamd", "lib-rspamd", "_rspamd", "_rspamd", when=lambda settings: settings.enable_rspamd
    ),
    StateDirectory(
        "/var/lib/redis", "lib-redis", "redis", "redis", when=lambda settings: settings.enable_rspamd_redis
    ),
    StateDirectory("/var/lib/postsrsd", "lib-postsrsd", when=lambda settings: settings.enable_srs),
    StateDirectory(
        "/var/lib/amavis", "lib-amavis", "amavis", "amavis",
        # What root learns there is for amavis too: the directory hands its group on.
        special=((".spamassassin", "amavis", "amavis", 0o2770),),
        when=lambda settings: settings.enable_amavis,
    ),
    StateDirectory("/var/lib/clamav", "lib-clamav", "clamav", "clamav", when=lambda settings: settings.enable_clamav),
    StateDirectory(
        "/var/lib/spamassassin", "lib-spamassassin", "debian-spamd", "debian-spamd",
        when=lambda settings: settings.enable_spamassassin,
    ),
)  # fmt: skip


def consolidate(settings: Settings, root: Root, rows: Iterable[StateDirectory] = DIRECTORIES) -> list[Problem]:
    """Move, adopt and repair the state of all enabled services; return warnings. Unmounted: owners only."""
    has_volume, mounts = os.path.isdir(root(STATE)), mount_points(root)
    warnings: list[Problem] = []
    for row in rows:
        if not row.when(settings):
            continue
        try:
            moves = has_volume and not _is_mounted(row, root, mounts)
            if moves and (inner := _inner_mounts(row, mounts)):
                moves = False
                warnings += inner
            if moves:
                warnings += _link(row, root, mounts)
            _repair(row, f"{STATE}/{row.name}" if moves else row.path, root, mounts)
        except OSError as error:
            cause = f"cannot be kept in {STATE}: {error.strerror} ({error.filename})"
            warnings.append(Problem(row.path, cause, "make the state volume writable for root"))
    return [
        *warnings,
        *srs.keep_secret(settings, root),
        *rspamd.own_keys(settings, root),
        *getmail.keep_seen(settings, root),
    ]


def _is_mounted(row: StateDirectory, root: Root, mounts: Set[str]) -> bool:
    """Tell whether the directory, or one above it, is a mount of the user's own, who keeps it there."""
    above = row.path.split("/")
    places = {"/".join(above[:length]) for length in range(2, len(above) + 1)}
    return bool(places & mounts) and not os.path.islink(root(row.path))


def _inner_mounts(row: StateDirectory, mounts: Iterable[str]) -> list[Problem]:
    """Return a warning for a directory in which something is mounted: to move it would empty what is mounted."""
    inner = sorted(path for path in mounts if path.startswith(f"{row.path}/"))
    if not inner:
        return []
    cause = f"is not kept in {STATE}, because {' and '.join(inner)} in it {'is' if len(inner) == 1 else 'are'} mounted"
    there = ", ".join(f"{STATE}/{row.name}{path.removeprefix(row.path)}" for path in inner)
    return [Problem(row.path, cause, f"mount it as {there} instead")]


def _link(row: StateDirectory, root: Root, mounts: Set[str]) -> list[Problem]:
    service, state = root(row.path), root(f"{STATE}/{row.name}")
    target = f"{STATE}/{row.name}"
    if os.path.islink(service) and os.readlink(service) == target and os.path.isdir(state):
        return []
    warnings: list[Problem] = []
    if not os.path.isdir(state):
        shutil.rmtree(state + _COPYING, ignore_errors=True)
        if os.path.isdir(service) and not os.path.islink(service):
            copy_tree(service, state + _COPYING)
        else:
            os.mkdir(state + _COPYING)
            cause = f"did not exist, nor did {target}; an empty one was made"
            warnings.append(Problem(row.path, cause))
        os.rename(state + _COPYING, state)
    elif _only_mounts(target, root, mounts) and os.path.isdir(service) and not os.path.islink(service):
        _complete(service, state)
    if os.path.isdir(service) and not os.path.islink(service):
        # Not renamed first: a directory of the image's layers cannot be (overlayfs: EXDEV).
        shutil.rmtree(service)
    replace_link(service, target)
    return warnings


def _only_mounts(target: str, root: Root, mounts: Set[str]) -> bool:
    """Tell whether there is only what the engine made to mount something on."""
    names = os.listdir(root(target))
    return bool(names) and all(f"{target}/{name}" in mounts for name in names)


def _complete(service: str, state: str) -> None:
    """Copy what is missing in a state directory."""
    shutil.rmtree(state + _COPYING, ignore_errors=True)
    copy_tree(service, state + _COPYING)
    for name in os.listdir(state + _COPYING):
        if not os.path.lexists(f"{state}/{name}"):
            os.rename(f"{state}{_COPYING}/{name}", f"{state}/{name}")
    shutil.rmtree(state + _COPYING)


def copy_tree(source: str, target: str) -> None:
    """Copy a directory with owners, modes, times and links; sockets are left out, their daemons make them again."""
    os.mkdir(target, 0o700)
    for entry in os.scandir(source):
        place = f"{target}/{entry.name}"
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            copy_tree(entry.path, place)
        elif stat.S_ISLNK(mode):
            os.symlink(os.readlink(entry.path), place)
        elif stat.S_ISREG(mode):
            shutil.copy2(entry.path, place)
            _like(entry.path, place)
        elif stat.S_ISFIFO(mode):
            os.mkfifo(place)
            _like(entry.path, place)
    shutil.copystat(source, target)
    _like(source, target)


def _like(source: str, target: str) -> None:
    status = os.stat(source)
    if os.geteuid() == 0:
        os.chown(target, status.st_uid, status.st_gid)
    os.chmod(target, stat.S_IMODE(status.st_mode))


def _repair(row: StateDirectory, place: str, root: Root, mounts: Set[str]) -> None:
    """Give everything its owner again: numeric ids may differ between releases of the image. Mounts below stay."""
    directory = root(place)
    below = {root(path) for path in mounts if path.startswith(f"{place}/")}
    for name in row.leftovers:
        if not any(f"{path}/".startswith(f"{directory}/{name}/") for path in below):
            _delete(f"{directory}/{name}")
    if not row.owner or os.geteuid() != 0 or not os.path.isdir(directory):
        return
    special = {name: (owner, group, mode) for name, owner, group, mode in row.special}
    _own(directory, _ids(row.top if row.top[0] else (row.owner, row.group), root))
    for entry in os.scandir(directory):
        owner, group, mode = special.get(entry.name, (row.owner, row.group, 0))
        _own_tree(entry, _ids((owner, group), root), below)
        if mode and entry.path not in below and stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode) != mode:
            os.chmod(entry.path, mode)


def _ids(names: tuple[str, str], root: Root) -> tuple[int, int]:
    """Return numeric ids; an account that does not exist (-1) changes nothing."""
    uid, gid = root.uid(names[0]), root.gid(names[1])
    return (-1 if uid is None else uid, -1 if gid is None else gid)


def _own_tree(entry: os.DirEntry[str], ids: tuple[int, int], mounts: Set[str]) -> None:
    if entry.path in mounts:
        return
    _own(entry.path, ids, entry.stat(follow_symlinks=False))
    if entry.is_dir(follow_symlinks=False):
        for child in os.scandir(entry.path):
            _own_tree(child, ids, mounts)


def _own(path: str, ids: tuple[int, int], status: os.stat_result | None = None) -> None:
    """Change the owner only where it differs: a queue of a hundred thousand messages costs a look each, no write."""
    status = status or os.lstat(path)
    if (ids[0] not in (-1, status.st_uid)) or (ids[1] not in (-1, status.st_gid)):
        try:
            os.lchown(path, *ids)
        except OSError as error:
            if error.errno != errno.EROFS:  # a read-only mount of the user's own is as it is meant to be
                raise


def _delete(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.lexists(path):
        os.unlink(path)
