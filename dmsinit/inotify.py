"""Changes of files, told by the kernel: inotify(7) on the event loop, without a thread.

Directories are watched: editors, `git pull`, Kubernetes and certificate tools replace a file or a symbolic link by
renaming another over it, and a watch on the old file would see nothing more. A file itself is watched as well, because
one that is mounted by itself is written outside, and the directory above the mount point does not hear of it.
"""

import asyncio
import ctypes
import os
import struct
from collections.abc import Iterable
from typing import Final

IN_CLOSE_WRITE: Final = 0x008
IN_MOVED_FROM: Final = 0x040
IN_MOVED_TO: Final = 0x080
IN_CREATE: Final = 0x100
IN_DELETE: Final = 0x200
IN_Q_OVERFLOW: Final = 0x4000
IN_IGNORED: Final = 0x8000
IN_ONLYDIR: Final = 0x01000000

_CHANGES: Final = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE
_HEADER: Final = struct.Struct("iIII")
_BUFFER_BYTES: Final = 65536


class Watcher:
    """Watches paths; `changed` returns after something happened to them and `settle_seconds` of quiet.

    A path may be a file or a directory, whose every entry then counts. What does not exist is watched for where it
    would appear; what is replaced as a whole, by a rename or a new symbolic link, has changed too.
    """

    def __init__(self, *, settle_seconds: float = 0.05, longest_settle_seconds: float = 0.5) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "cannot watch files: inotify is not to be had")
        self._settle = settle_seconds
        self._longest = longest_settle_seconds
        self._names: dict[int, set[bytes] | None] = {}
        self._files: dict[int, str] = {}
        self._descriptors: dict[str, int] = {}
        self._seen: set[str] = set()
        self._event = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._fd, self._readable)

    def watch(self, paths: Iterable[str]) -> None:
        """Watch exactly these paths from now on.

        Directories that were not watched until now count as changed: nobody knows what happened in them before.
        """
        wanted: dict[str, set[bytes] | None] = {}
        files = set()
        for path in paths:
            if os.path.isdir(path):
                wanted[path] = None
            elif os.path.isfile(path):
                files.add(path)
            directory, name = _nearest(path)
            names = wanted.setdefault(directory, set())
            if names is not None:
                names.add(os.fsencode(name))
        if self._descriptors and wanted.keys() - self._descriptors.keys():
            self._seen.add("")
            self._event.set()
        before = {*self._names, *self._files}
        self._descriptors, self._names, self._files = {}, {}, {}
        for directory, names in wanted.items():
            if (descriptor := self._add(directory, _CHANGES | IN_ONLYDIR)) >= 0:
                self._descriptors[directory] = descriptor
                self._names[descriptor] = names
        for path in files:
            if (descriptor := self._add(path, IN_CLOSE_WRITE)) >= 0:
                self._files[descriptor] = os.path.basename(path)
        for descriptor in before - {*self._names, *self._files}:
            self._libc.inotify_rm_watch(self._fd, descriptor)

    def _add(self, path: str, mask: int) -> int:
        """Return the descriptor of a watch, that of before if there was one; below 0 when it cannot be watched."""
        descriptor: int = self._libc.inotify_add_watch(self._fd, os.fsencode(path), mask)
        return descriptor

    async def changed(self) -> set[str]:
        """Wait for a change, then for quiet; return the names that changed ("" when some were lost)."""
        await self._event.wait()
        deadline = asyncio.get_running_loop().time() + self._longest
        while asyncio.get_running_loop().time() < deadline:
            self._event.clear()
            try:
                async with asyncio.timeout(self._settle):
                    await self._event.wait()
            except TimeoutError:
                break
        self._event.clear()
        seen, self._seen = self._seen, set()
        return seen

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, _BUFFER_BYTES)
        except BlockingIOError:
            return
        offset = 0
        while offset < len(data):
            descriptor, mask, _, length = _HEADER.unpack_from(data, offset)
            offset += _HEADER.size
            name = data[offset : offset + length].rstrip(b"\0")
            offset += length
            self._note(descriptor, mask, name)

    def _note(self, descriptor: int, mask: int, name: bytes) -> None:
        if mask & IN_IGNORED:
            self._names.pop(descriptor, None)
            self._files.pop(descriptor, None)
        elif mask & IN_Q_OVERFLOW:
            self._seen.add("")
            self._event.set()
        elif descriptor in self._names:
            names = self._names[descriptor]
            if names is None or name in names:
                self._seen.add(os.fsdecode(name))
                self._event.set()
        elif descriptor in self._files:
            self._seen.add(self._files[descriptor])
            self._event.set()


def _nearest(path: str) -> tuple[str, str]:
    """Return the nearest directory above `path` that exists, and the name in it that leads there."""
    directory, name = os.path.split(path)
    while not os.path.isdir(directory) and directory not in ("", "/"):
        directory, name = os.path.split(directory)
    return directory or "/", name
