"""What goes into an archive, found in volumes that change while they are read.

- Maildir never changes a message, it renames it: from new/ to cur/, and there with its flags. Postfix moves a message
  from queue to queue. So each message has one key wherever it is, and is taken once; and directories that changed since
  the beginning are looked at again at the end (`again`), so that one which moved past the reader is found.
- Left out are sockets and pipes (their daemons make them), Maildir's tmp/ (deliveries that are not finished) and queue
  files without the owner's execute permission, which Postfix gives to a message when it has all of it.
"""

import errno
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from dmsinit.archive.layout import MAIL, STATE
from dmsinit.base.beneath import opened

_QUEUE: Final = "spool-postfix"
_QUEUES: Final = frozenset({"maildrop", "incoming", "active", "deferred", "hold", "corrupt"})
_CLOCK_STEP_SECONDS: Final = 2.0
"""Times of modification may be that coarse (FAT, some network file systems)."""


@dataclass(frozen=True)
class Found:
    """Something to archive: `path` is relative to the volume ("" is itself), `place` is where to open it."""

    path: str
    place: str
    status: os.stat_result


@dataclass
class Scan:
    """One volume; `every` first, then `again` until it finds nothing."""

    volume: str
    root: str
    vanished: int = 0
    _began: float = field(default_factory=time.time)
    _seen: set[bytes] = field(default_factory=set)
    _directories: list[str] = field(default_factory=list)

    def every(self) -> Iterator[Found]:
        """Yield the volume itself and all in it, directories before what they hold."""
        yield Found("", self.root, os.stat(self.root))
        yield from self._inside("")

    def again(self) -> Iterator[Found]:
        """Yield what came into directories that changed since the scan began."""
        for path in list(self._directories):
            try:
                changed = os.stat(self._place(path)).st_mtime >= self._began - _CLOCK_STEP_SECONDS
            except FileNotFoundError:
                continue
            if changed:
                yield from self._inside(path, listed=True)

    def forget(self, found: Found) -> None:
        """Take note that something vanished before it could be read: it may be found again under another name."""
        self.vanished += 1
        self._seen.discard(_digest(key(self.volume, found.path)))

    def _place(self, path: str) -> str:
        return f"{self.root}/{path}" if path else self.root

    def _inside(self, path: str, *, listed: bool = False) -> Iterator[Found]:
        if not listed:
            self._directories.append(path)
        try:
            with opened(self._place(path)) as directory:
                names = [entry.name for entry in directory.entries()]
        except (FileNotFoundError, NotADirectoryError):
            self.vanished += 1
            return
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            self.vanished += 1  # a link took its place
            return
        for name in names:
            yield from self._entry(f"{path}/{name}" if path else name, frozenset(names))

    def _entry(self, path: str, siblings: frozenset[str]) -> Iterator[Found]:
        place = self._place(path)
        digest = _digest(key(self.volume, path))
        if digest in self._seen:
            return
        try:
            status = os.lstat(place)
        except FileNotFoundError:
            self.vanished += 1
            return
        if not wanted(self.volume, path, status.st_mode):
            return
        self._seen.add(digest)
        yield Found(path, place, status)
        if stat.S_ISDIR(status.st_mode) and not (self.volume == MAIL and _unfinished(path, siblings)):
            yield from self._inside(path)


def wanted(volume: str, path: str, mode: int) -> bool:
    """Say whether something of this kind belongs into an archive."""
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
        return False
    return not (stat.S_ISREG(mode) and _queued(volume, path) and not mode & stat.S_IXUSR)


def _queued(volume: str, path: str) -> bool:
    parts = path.split("/")
    return volume == STATE and len(parts) > 2 and parts[0] == _QUEUE and parts[1] in _QUEUES


def _unfinished(path: str, siblings: frozenset[str]) -> bool:
    """Say whether a directory is Maildir's tmp/; the directory itself is kept, Maildir needs it."""
    return os.path.basename(path) == "tmp" and {"cur", "new"} <= siblings


def key(volume: str, path: str) -> str:
    """Return what stays the same while a message is renamed: of all else its path."""
    parts = path.split("/")
    if volume == MAIL and len(parts) > 2 and parts[-2] in ("cur", "new"):
        return "/".join((*parts[:-2], "\0", parts[-1].partition(":")[0]))
    if _queued(volume, path):
        return f"\0{parts[-1]}"
    return path


def _digest(text: str) -> bytes:
    """Return 16 bytes that stand for a key: a million of them fit into memory."""
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()
