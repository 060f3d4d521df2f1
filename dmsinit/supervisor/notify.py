"""The sd_notify protocol: a service tells by datagram that it is ready, alive, reloading or stopping.

Each service that wants it has a socket of its own, so that a message needs no look-up of its sender's service; a sender
outside the service's process tree is not believed. See sd_notify(3); READY, STATUS, WATCHDOG, RELOADING and STOPPING
are understood, anything else is ignored.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

_DATAGRAM_BYTES: Final = 4096
_CREDENTIALS: Final = struct.Struct("iII")
_STATUS_CHARACTERS: Final = 200


class Notices:
    """What one service has said. `believed` decides by pid whether a sender belongs to the service."""

    def __init__(self, path: Path, believed: Callable[[int], bool], told: Callable[[], None]) -> None:
        self.path = path
        self.ready = asyncio.Event()
        self.reloading = False
        self.stopping = False
        self.status = ""
        self._alive = False
        self._believed = believed
        self._told = told
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Listen anew, with everything said before forgotten."""
        self.close()
        self.ready.clear()
        self.reloading = self.stopping = self._alive = False
        self.status = ""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(str(self.path))
        self.path.chmod(0o666)  # services drop their privileges before they are ready
        asyncio.get_running_loop().add_reader(self._socket, self._readable)

    def close(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
            self.path.unlink(missing_ok=True)

    def was_alive(self) -> bool:
        """Say whether WATCHDOG=1 came since this was asked last."""
        alive, self._alive = self._alive, False
        return alive

    def _readable(self) -> None:
        if self._socket is None:
            return
        try:
            data, ancillary, _, _ = self._socket.recvmsg(
                _DATAGRAM_BYTES, socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(16)
            )
        except BlockingIOError:
            return
        sender = 0
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                sender = _CREDENTIALS.unpack(payload)[0]
            elif level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                for (fd,) in struct.iter_unpack("i", payload):
                    os.close(fd)  # FDSTORE is not offered
        if self._believed(sender):
            self._take(data.decode("utf-8", "replace"))
            self._told()

    def _take(self, message: str) -> None:
        for line in message.splitlines():
            name, _, value = line.partition("=")
            if name == "STATUS":
                self.status = value[:_STATUS_CHARACTERS]
            elif (name, value) == ("WATCHDOG", "1"):
                self._alive = True
            elif (name, value) == ("READY", "1"):
                self.reloading = False
                self.ready.set()
            elif (name, value) == ("RELOADING", "1"):
                self.reloading = True
                self.ready.clear()
            elif (name, value) == ("STOPPING", "1"):
                self.stopping = True
