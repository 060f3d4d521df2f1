"""Connections of probes: numeric addresses and socket paths only, so that no probe ever waits for a name server."""

import asyncio
import errno
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import Final

from dmsinit.base.mounts import may_hang

LINE_BYTES = 1024
"""A greeting is shorter (RFC 5321 section 4.5.3.1.5 allows 512 octets)."""
_CREDENTIALS: Final = struct.Struct("iII")
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})


class CannotAsk(Exception):
    """The question could not be asked, for lack of descriptors or memory on our side; no word about the daemon."""


class ProbeFailed(Exception):
    """The daemon does not answer as it should; the message says what came instead."""


class NoAnswer(ProbeFailed):
    """Nothing came, right or wrong: the daemon hangs, or has no room for one more client."""


def split_inet(address: str) -> tuple[str, int]:
    """Split `inet:HOST:PORT` (or `HOST:PORT`); `localhost` is 127.0.0.1, IPv6 stands in brackets."""
    host, separator, port = address.removeprefix("inet:").rpartition(":")
    if not separator or not port.isdigit():
        raise ProbeFailed(f"{address} is not an address; write inet:HOST:PORT or unix:PATH")
    host = host.strip("[]")
    return ("127.0.0.1" if host in ("", "localhost") else host), int(port)


PEERS: ContextVar[list[int] | None] = ContextVar("peers", default=None)
"""Takes the pids of the processes that listen at the Unix sockets that are connected to; 0 for one of elsewhere."""


def note_peer(client: socket.socket) -> None:
    """Note who listens where a socket is connected to (SO_PEERCRED, unix(7)): nobody tells for other families."""
    peers = PEERS.get()
    if peers is not None and client.family == socket.AF_UNIX and client.type == socket.SOCK_STREAM:
        peers.append(
            _CREDENTIALS.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[0]
        )


Reach = Callable[[str], Awaitable[socket.socket]]
"""Connects to the Unix socket of a path that may hang, without this process looking it up; raises OSError."""
REACH: ContextVar[Reach | None] = ContextVar("reach", default=None)


async def _connect_unix(path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if not may_hang(path):
        return await asyncio.open_unix_connection(path, limit=LINE_BYTES)
    reach = REACH.get()
    if reach is None:
        raise CannotAsk(f"cannot ask {path}: it is on a file system that may hang")
    return await asyncio.open_unix_connection(sock=await reach(path), limit=LINE_BYTES)


@asynccontextmanager
async def connect(address: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect to `inet:HOST:PORT` or `unix:PATH`; ProbeFailed says why not."""
    try:
        if address.startswith(("unix:", "/")):
            reader, writer = await _connect_unix(address.removeprefix("unix:"))
        else:
            host, port = split_inet(address)
            reader, writer = await asyncio.open_connection(host, port, limit=LINE_BYTES)
    except OSError as error:
        if error.errno in _EXHAUSTED:
            raise CannotAsk(f"cannot ask {address}: {error.strerror}") from None
        failure = NoAnswer if error.errno == errno.EAGAIN else ProbeFailed  # its queue is full (unix(7), connect(2))
        raise failure(f"{address}: {error.strerror or error}") from None
    note_peer(writer.get_extra_info("socket"))
    try:
        yield reader, writer
    except (ConnectionError, asyncio.IncompleteReadError) as error:
        raise NoAnswer(f"{address}: connection closed ({error})") from None
    finally:
        writer.transport.abort()  # what was to be said is said (drained); a probe waits for no farewell
        with suppress(OSError):
            await writer.wait_closed()


async def read_line(reader: asyncio.StreamReader) -> str:
    """Return one line without its end; ProbeFailed when it is too long or the peer closes instead."""
    try:
        line = await reader.readline()
    except ValueError:
        raise ProbeFailed(f"a line of more than {LINE_BYTES} bytes") from None
    if not line:
        raise NoAnswer("connection closed before an answer")
    return line.decode("latin-1").rstrip("\r\n")
