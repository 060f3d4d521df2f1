"""Which files start an apply when they change, and what they looked like when they were read last.

Watched is what the contract lists (behaviour 75), what `setup` writes, and services. Everything else of the config
volume is taken along by the next apply, or by `dmsctl apply`, but does not start one (docs/decisions/0009).

The snapshot (`sha512  path`, one file a line) is what tells a change from an event that means nothing: a file that was
written with the same bytes, or one that a start itself has written.
"""

import errno
import os
from collections.abc import Iterable
from hashlib import sha512
from typing import Final

from dmsinit.base import inotify, mounts
from dmsinit.problem import Problem
from dmsinit.render.paths import CHANGED, LOCAL_SERVICES, SNAPSHOT, VOLUME, VOLUME_SERVICES, Root
from dmsinit.render.reporter import Reporter
from dmsinit.render_protocol import Watching
from dmsinit.settings import Settings

NAMES: Final = (
    "postfix-accounts.cf",
    "postfix-virtual.cf",
    "postfix-regexp.cf",
    "postfix-aliases.cf",
    "postfix-relaymap.cf",
    "postfix-sasl-password.cf",
    "postfix-send-access.cf",
    "postfix-receive-access.cf",
    "dovecot-quotas.cf",
    "dovecot-masters.cf",
)

_ATOMIC_SWAP: Final = f"{VOLUME}/..data"
"""What Kubernetes renames over when a ConfigMap or Secret changes; the files are links through it."""

_LINKS_AT_MOST: Final = 40
"""Where the kernel gives up too (path_resolution(7))."""


def paths(settings: Settings, certificates: Iterable[str], root: Root) -> tuple[str, ...]:
    """Return the files and directories (whose entries count) to watch, whether they exist or not."""
    found = [f"{VOLUME}/{name}" for name in NAMES]
    found += [VOLUME_SERVICES, LOCAL_SERVICES, *certificates]
    if settings.enable_rspamd:
        found += _tree(f"{VOLUME}/rspamd", root)
    return tuple(found)


def _tree(path: str, root: Root) -> list[str]:
    """Return a directory and all directories below it."""
    prefix = len(root(""))
    return [path, *(f"{parent}/{name}"[prefix:] for parent, names, _ in os.walk(root(path)) for name in sorted(names))]


def places(watched: Iterable[str], root: Root) -> tuple[str, ...]:
    """Return where the kernel is to be asked: the paths, what is in them, and the links that they lead through.

    A file in a watched directory is a place of its own: one that is mounted there changes unseen by the directory.
    """
    found = [_ATOMIC_SWAP, CHANGED]
    for path in watched:
        for place in (path, *_files(path, root)):
            found += [place, *_hops(place, root)]
    return tuple(dict.fromkeys(found))


def _hops(path: str, root: Root) -> list[str]:
    """Return the links that a path leads through and where it ends; nothing where there is no link."""
    hops: list[str] = []
    place, rest = "", path.strip("/").split("/")
    while rest and len(hops) < _LINKS_AT_MOST:
        name = rest.pop(0)
        if name in ("", "."):
            continue
        if name == "..":
            place = os.path.dirname(place)
            continue
        step = f"{place}/{name}"
        try:
            target = os.readlink(root(step))
        except OSError:
            place = step
            continue
        hops.append(step)
        rest = [*target.strip("/").split("/"), *rest]
        place = "" if target.startswith("/") else place
    return [*hops, place] if hops else []


def snapshot(watched: Iterable[str], root: Root) -> str:
    """Return a line `sha512  path` for each watched file that exists and can be read."""
    lines = []
    for path in watched:
        for file in _files(path, root):
            try:
                content = root.read(file)
            except OSError:
                continue
            if content is not None:
                lines.append(f"{sha512(content).hexdigest()}  {file}\n")
    return "".join(dict.fromkeys(lines))


def _files(path: str, root: Root) -> list[str]:
    """Return the path itself when it is a file, the files in it when it is a directory."""
    if os.path.isfile(root(path)):
        return [path]
    entries = (f"{path}/{name}" for name in root.listing(path) if not name.endswith("~"))
    return [entry for entry in entries if os.path.isfile(root(entry))]


def changed(now: str, root: Root) -> list[str]:
    """Return the paths in which a snapshot differs from the one that was kept."""
    before = (root.read(SNAPSHOT) or b"").decode("utf-8", "replace")
    old, new = set(before.splitlines()), set(now.splitlines())
    return sorted({line.partition("  ")[2] for line in old ^ new})


def watch(places: Iterable[str], instance: int | None, report: Reporter) -> list[Problem]:
    """Have the kernel watch places for PID 1; return why some are not watched, which is a reason to poll them."""
    watches, failure = inotify.add(instance, places) if instance is not None else ([], errno.EMFILE)
    report.say(Watching(watches=watches, complete=not failure))
    if not failure:
        return []
    limit = inotify.LIMITS.get(failure)
    cause = f"the kernel cannot report changes of the configuration ({os.strerror(failure)}); it is polled instead"
    remedy = f"raise {limit} on the host (sysctl) and restart the container" if limit else ""
    return [Problem(limit or "inotify", cause, remedy)]


def silence(watched: Iterable[str], root: Root) -> str:
    """Return which file system below a watched path sends no events, "" when all of them do."""
    found = mounts.parse((root.read(mounts.MOUNTINFO) or b"").decode("utf-8", "replace"))
    kinds = (mounts.remote(os.path.realpath(path), found) for path in watched)
    return next((f"{kind} sends no events" for kind in kinds if kind), "")
