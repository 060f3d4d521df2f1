"""Accepting clients: a bounded number of them at a time, and no spinning when descriptors run out.

asyncio's own server accepts without a bound, and reports every failed accept of its backlog when descriptors run out;
hence this loop.
"""

import asyncio
import errno
import socket
from functools import partial
from typing import Final

from dmsinit.control.connection import Answer, Deadlines, converse
from dmsinit.control.peer import Peer, identify

MAX_CLIENTS: Final = 256
"""With 20 services, PID 1 then stays below the soft limit of 1,024 descriptors that some engines give it."""

RETRY_SECONDS: Final = 1.0
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


async def serve(
    listener: socket.socket,
    answer: Answer,
    *,
    max_clients: int = MAX_CLIENTS,
    clients: set[socket.socket] | None = None,
    deadlines: Deadlines = Deadlines(),  # noqa: B008 -- immutable
) -> None:
    """Answer every client of a listening, non-blocking socket until cancelled; then hang up on all and close it.

    Clients beyond `max_clients` wait in the kernel's backlog. When no descriptor is left, accepting rests for a second.
    `clients` holds the connections of those that are there.
    """
    slots = asyncio.Semaphore(max_clients)
    present = set() if clients is None else clients
    try:
        async with asyncio.TaskGroup() as tasks:
            while True:
                await slots.acquire()
                connection = await _accept(listener)
                present.add(connection)
                client = tasks.create_task(_attend(connection, answer, deadlines))
                client.add_done_callback(partial(_leave, connection, present, slots))
    finally:
        listener.close()


async def _accept(listener: socket.socket) -> socket.socket:
    loop = asyncio.get_running_loop()
    while True:
        try:
            connection, _ = await loop.sock_accept(listener)
        except OSError as error:
            # accept(2): errors of the new connection (ECONNABORTED, EPERM, network errors) are to be retried
            if error.errno in (errno.EBADF, errno.EINVAL, errno.ENOTSOCK, errno.EOPNOTSUPP):
                raise
            if error.errno in _EXHAUSTED:
                await asyncio.sleep(RETRY_SECONDS)
        else:
            return connection


def _leave(
    connection: socket.socket, present: set[socket.socket], slots: asyncio.Semaphore, _client: asyncio.Task[None]
) -> None:
    present.discard(connection)
    connection.close()  # here, because a task that is cancelled before its first step runs nothing of its own
    slots.release()


async def _attend(connection: socket.socket, answer: Answer, deadlines: Deadlines) -> None:
    try:
        peer: Peer | None = identify(connection) if connection.family == socket.AF_UNIX else None
        reader, writer = await asyncio.open_connection(sock=connection, limit=2 * 16 * 1024)
    except OSError:
        return  # the client has gone already
    await converse(reader, writer, answer, peer=peer, deadlines=deadlines)
