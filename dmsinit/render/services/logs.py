"""`[[log]]` of services/NAME.toml: the log files of services, how logrotate(8) treats them, and links to them."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from dmsinit.render.stage import Stage

_ROTATION: Final = "/etc/logrotate.d"


@dataclass(frozen=True)
class Rotation:
    """How logrotate(8) treats a file; `file` is the name in /etc/logrotate.d, `every` empty: it is not rotated."""

    file: str
    every: str = ""
    keep: int = 4
    truncate: bool = True
    """Copy and truncate it, for a program that keeps it open; else rename it."""
    owner: str = ""
    """Whose directory it is in, where that is not root's: logrotate works as this user and group."""
    then: tuple[str, ...] = ()
    """Lines of shell code, run when it has been rotated."""


@dataclass(frozen=True)
class LogFile:
    """A log file of the service `service`."""

    service: str
    path: str
    rotation: Rotation
    create: bool = False
    """Made at a start where it does not exist: for a daemon that could not, or would with another mode."""
    owner: str = ""
    group: str = ""
    """Whose it is, and what was rotated of it; empty: that is left alone."""
    link: str = ""
    """Where else people look for it: a symbolic link that leads to it."""


def stage(staged: Stage, logs: Iterable[LogFile]) -> None:
    """Stage the rotation of all logs, and the links to them."""
    logs = list(logs)
    for log in logs:
        if log.link:
            staged.links[log.link] = os.path.relpath(log.path, os.path.dirname(log.link))
    rotated = sorted((log for log in logs if log.rotation.every), key=lambda log: log.rotation.file)
    for name, together in groupby(rotated, key=lambda log: log.rotation.file):
        staged.add(f"{_ROTATION}/{name}", "".join(f"{line}\n" for line in _configuration(list(together))))


def _configuration(logs: list[LogFile]) -> Iterator[str]:
    """Yield the lines of a file of logrotate's: logs that are treated alike share a block."""
    named = " and ".join(f"services/{name}.toml" for name in dict.fromkeys(log.service for log in logs))
    yield f"# Rotation of logs, see logrotate(8). dmsinit writes this file from {named}."
    for rotation, alike in groupby(logs, key=lambda log: log.rotation):
        paths = [log.path for log in alike]
        yield from paths
        yield "{"
        if rotation.owner:
            yield f"  su {rotation.owner} {rotation.owner}"
        yield f"  {rotation.every}"
        yield f"  rotate {rotation.keep}"
        yield from ("  compress", "  delaycompress") if rotation.keep else ()
        yield from ["  copytruncate"] if rotation.truncate else ()
        yield from ("  missingok", "  notifempty")
        if rotation.then:
            yield from ["  sharedscripts"] if len(paths) > 1 else ()
            yield from ("  postrotate", *(f"    {line}" for line in rotation.then), "  endscript")
        yield "}"
