"""Log files on file systems that may hang (a network mount without its server), which PID 1 must not touch.

Contract:
- One child a file system writes (dmsinit/base/append.py); it is started with the first line for it.
- `append` never blocks. What is not written yet is kept, up to `_MOST_BYTES` for each file system; more is lost.
- A warning is logged when the child does not get on for `_SILENCE_SECONDS`, or bytes are lost; one line says when it
  does again, and the file says what is missing in it.
- A child that ended is replaced with the next line, at most once in `_REPLACED_SECONDS`; what it had not written is
  lost.
"""

import asyncio
import socket
import sys
from collections import Counter, deque
from collections.abc import Mapping
from typing import Final

from dmsinit.base.append import ANSWER, PACKET_BYTES, packet
from dmsinit.log import Log
from dmsinit.supervisor.children import Child, Children
from dmsinit.supervisor.pulse import Pulse

_MOST_BYTES: Final = 4 * 1024 * 1024
"""A mail server's log of hours; and not more than PID 1 can hold for each of two or three mounts."""
_PACKET_COSTS: Final = 256
"""What a packet costs beside its bytes, so that many empty ones count too."""
_SILENCE_SECONDS: Final = 10.0
_REPLACED_SECONDS: Final = 5.0
_CLOSING_SECONDS: Final = 1.0


class LogWriter:
    """All children that write log files; implements dmsinit.base.logfile.Writer. `close` lets them finish."""

    def __init__(self, children: Children, environment: Mapping[str, str], log: Log) -> None:
        self._children, self._environment, self._log = children, environment, log
        self._mounts: dict[str, _Mount] = {}
        self._lost: Counter[str] = Counter()

    def append(self, mount: str, path: str, data: bytes) -> None:
        """Have bytes appended to a file on the file system mounted at `mount`."""
        if mount not in self._mounts:
            self._mounts[mount] = _Mount(mount, self._children, self._environment, self._log, self._lost)
        for begin in range(0, max(len(data), 1), PACKET_BYTES):
            self._mounts[mount].append(path, data[begin : begin + PACKET_BYTES])

    def bytes_lost(self, path: str) -> int:
        """Return how much of what was for a file is lost."""
        return self._lost[path]

    async def close(self) -> None:
        """Give the children a moment to write what there is, and let go of them."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _CLOSING_SECONDS
        for mount in self._mounts.values():
            await mount.close(max(0.0, deadline - loop.time()))


class _Mount:
    """One file system: what waits to be written there, and the child that writes it."""

    def __init__(
        self, mount: str, children: Children, environment: Mapping[str, str], log: Log, lost: Counter[str]
    ) -> None:
        self._mount, self._children, self._environment, self._log = mount, children, environment, log
        self._lost = lost
        self._missing: Counter[str] = Counter()
        """What is lost of each file since it said so last."""
        self._queue: deque[bytes] = deque()
        self._unwritten: deque[tuple[str, int, int]] = deque()
        """Path, cost and bytes of each packet that was not answered yet: those in the queue, and those sent."""
        self._all_sent = Pulse()
        self._bytes = 0
        self._socket: socket.socket | None = None
        self._child: Child | None = None
        self._started = float("-inf")
        self._start_due: asyncio.TimerHandle | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._told = False
        self._lost_since_told = 0

    def append(self, path: str, data: bytes) -> None:
        """Keep a packet and send what can be sent; lose it when there is no room."""
        confession = _confession(self._missing[path]) if self._missing[path] else b""
        if self._bytes + len(confession) + len(data) + 2 * _PACKET_COSTS > _MOST_BYTES:
            self._lose(path, len(data))
            self._warn("lines are lost")
            return
        if confession:
            self._keep(path, confession, 0)
            del self._missing[path]
        self._keep(path, data, len(data))
        if self._socket is not None:
            self._send(self._socket)
        elif self._start_due is None:
            # Not at once: the first line comes before the owner of children is ready for one.
            loop = asyncio.get_running_loop()
            self._start_due = loop.call_at(max(loop.time(), self._started + _REPLACED_SECONDS), self._start)

    async def close(self, seconds: float) -> None:
        """Send what there is, and wait for the child's end for so long."""
        if self._start_due is not None:
            self._start_due.cancel()
            self._start()
        if self._silence is not None:
            self._silence.cancel()
        if self._socket is None or self._child is None:
            return
        try:
            async with asyncio.timeout(seconds):
                while self._queue:
                    await self._all_sent.wait()
                self._socket.shutdown(socket.SHUT_WR)
                await self._child.wait()
        except (TimeoutError, OSError):
            pass
        self._hang_up()

    def _keep(self, path: str, data: bytes, count: int) -> None:
        cost = len(data) + _PACKET_COSTS
        self._bytes += cost
        self._queue.append(packet(path, data))
        self._unwritten.append((path, cost, count))
        if self._silence is None:
            self._silence = asyncio.get_running_loop().call_later(_SILENCE_SECONDS, self._silent)

    def _lose(self, path: str, count: int) -> None:
        self._lost[path] += count
        self._missing[path] += count
        self._lost_since_told += count

    # The child

    def _start(self) -> None:
        self._start_due = None
        loop = asyncio.get_running_loop()
        self._started = loop.time()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        argv = [sys.executable, "-I", "-m", "dmsinit.base.append"]
        try:
            self._child = self._children.spawn(argv, env=self._environment, stdin=theirs.fileno(), stderr=2)
        except OSError as error:
            ours.close()
            self._ended(f"nothing can be started: {error.strerror}")
            return
        finally:
            theirs.close()
        ours.setblocking(False)
        self._socket = ours
        loop.add_reader(ours, self._readable, ours)
        self._send(ours)

    def _send(self, ours: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while self._queue:
            try:
                ours.send(self._queue[0])
            except BlockingIOError:
                loop.add_writer(ours, self._send, ours)
                return
            except OSError:  # its end is read as well
                break
            self._queue.popleft()
        loop.remove_writer(ours)
        self._all_sent.fire()

    def _readable(self, ours: socket.socket) -> None:
        """Take the answers that there are."""
        while True:
            try:
                answer = ours.recv(ANSWER.size)
            except BlockingIOError:
                return
            except OSError:
                answer = b""
            if len(answer) != ANSWER.size or not self._unwritten:
                self._hang_up()
                self._ended("the process that writes has ended")
                return
            self._written(*self._unwritten.popleft(), ANSWER.unpack(answer)[0])

    def _written(self, path: str, cost: int, count: int, lost: int) -> None:
        self._bytes -= cost
        self._lost[path] += min(lost, count)  # the file itself says so
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        if self._unwritten:
            self._silence = asyncio.get_running_loop().call_later(_SILENCE_SECONDS, self._silent)
        elif self._told:
            missing, self._lost_since_told, self._told = self._lost_since_told, 0, False
            self._log.info(f"log files in {self._mount} are written again; {missing} bytes are missing there")

    def _hang_up(self) -> None:
        if self._socket is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._socket)
            loop.remove_writer(self._socket)
            self._socket.close()
            self._socket = None

    def _ended(self, why: str) -> None:
        """Lose what was not answered."""
        self._queue.clear()
        self._all_sent.fire()
        while self._unwritten:
            path, cost, count = self._unwritten.popleft()
            self._bytes -= cost
            self._lose(path, count)
        self._warn(why)

    # What people are told

    def _silent(self) -> None:
        self._silence = None
        self._warn(f"nothing was written for {_SILENCE_SECONDS:g} s")

    def _warn(self, why: str) -> None:
        if self._told:
            return
        self._told = True
        kept = f"up to {_MOST_BYTES // 1024 // 1024} MiB of lines are kept until then"
        self._log.warn(
            f"cannot write log files in {self._mount}: {why}; see whether the server of that mount answers; {kept}"
        )


def _confession(count: int) -> bytes:
    return f"\n[dmsinit] {count} bytes are missing here: the file system did not answer\n".encode()
