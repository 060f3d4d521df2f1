"""Changes of files on the event loop, as the kernel reports them or, where it cannot, as somebody who polls notes them.

PID 1 reads from an inotify instance and touches no watched path: children add the watches (dmsinit/base/inotify.py).
"""

import asyncio
import os
import struct
from collections.abc import Iterable
from typing import Final

from dmsinit.base.inotify import IN_IGNORED, IN_Q_OVERFLOW, Watch, remove

POLL_SECONDS: Final = 1.0
"""How often a note of whoever polls is looked for: what changed is in force about as soon as where events come."""
_HEADER: Final = struct.Struct("iIII")
_BUFFER_BYTES: Final = 65536


class Watcher:
    """`changed` returns after something happened to what is watched and `settle_seconds` of quiet.

    `instance` None means that the kernel reports nothing. Then, and where `adopt` hears that watches are missing, the
    file `note` counts as changed whenever its time does: whoever polls writes it.
    """

    def __init__(
        self, instance: int | None, note: str, *, settle_seconds: float = 0.05, longest_settle_seconds: float = 0.5
    ) -> None:
        self.instance = instance
        self.adopted = False
        self._note_path = note
        self._settle = settle_seconds
        self._longest = longest_settle_seconds
        self._names: dict[int, frozenset[str] | None] = {}
        self._paths: dict[int, str] = {}
        self._seen: set[str] = set()
        self._event = asyncio.Event()
        self._poll: asyncio.TimerHandle | None = None
        self._noted = 0
        if instance is None:
            self._look()
        else:
            asyncio.get_running_loop().add_reader(instance, self._readable)

    @property
    def polls(self) -> bool:
        """Somebody has to poll: the kernel does not report everything."""
        return self._poll is not None

    def adopt(self, watches: Iterable[Watch], *, complete: bool) -> None:
        """Heed exactly these watches from now on; not `complete`: some could not be added."""
        self.adopted = True
        names: dict[int, frozenset[str] | None] = {}
        for watch in watches:
            known = names.get(watch.descriptor, frozenset())
            names[watch.descriptor] = None if known is None or watch.names is None else known | watch.names
            self._paths[watch.descriptor] = watch.path
        for descriptor in self._names.keys() - names.keys():
            self._paths.pop(descriptor, None)
            if self.instance is not None:
                remove(self.instance, descriptor)
        self._names = names
        if not complete and self._poll is None:
            self._look()

    async def changed(self) -> set[str]:
        """Wait for a change, then for quiet; return the names that changed ("" when some were lost).

        None at all when `take` has returned them meanwhile.
        """
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

    def take(self) -> set[str]:
        """Return the names that have changed so far: whoever reads the files from now on needs to be told no more.

        `changed` then returns without a name, if it had begun to wait for quiet.
        """
        self._readable()
        self._event.clear()
        seen, self._seen = self._seen, set()
        return seen

    def put_back(self, names: Iterable[str]) -> None:
        """Have names count as changed again that `take` has returned."""
        for name in names:
            self._mark(name)

    def close(self) -> None:
        if self._poll is not None:
            self._poll.cancel()
        if self.instance is not None:
            asyncio.get_running_loop().remove_reader(self.instance)
            os.close(self.instance)

    def _readable(self) -> None:
        if self.instance is None:
            return
        try:
            data = os.read(self.instance, _BUFFER_BYTES)
        except BlockingIOError:
            return
        offset = 0
        while offset < len(data):
            descriptor, mask, _, length = _HEADER.unpack_from(data, offset)
            offset += _HEADER.size
            name = data[offset : offset + length].rstrip(b"\0")
            offset += length
            self._take(descriptor, mask, os.fsdecode(name))

    def _take(self, descriptor: int, mask: int, name: str) -> None:
        if mask & IN_IGNORED:
            self._names.pop(descriptor, None)
        elif mask & IN_Q_OVERFLOW or descriptor not in self._names:
            self._mark("")  # events were lost, or this one came before the table that says what counts
        else:
            names = self._names[descriptor]
            if names is None or name in names:
                self._mark(name or os.path.basename(self._paths[descriptor]))

    def _mark(self, name: str) -> None:
        self._seen.add(name)
        self._event.set()

    def _look(self) -> None:
        """Look at the note, now and after every interval."""
        try:
            noted = os.stat(self._note_path).st_mtime_ns  # on the container's own file system: it does not block
        except OSError:
            noted = 0
        if noted != self._noted:
            self._noted = noted
            self._mark("")
        self._poll = asyncio.get_running_loop().call_later(POLL_SECONDS, self._look)
