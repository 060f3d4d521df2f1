"""A client of the control socket for commands: HTTP/1.1 over AF_UNIX, as much of it as our server speaks.

Standard library only, and little of that: `dmsctl health` runs every few seconds, and http.client alone would double
its start-up time.
"""

import json
import os
import select
import socket
from collections.abc import Iterator
from typing import Any, Final

SOCKET: Final = "/run/dmsinit/control.sock"
SOCKET_VARIABLE: Final = "DMSINIT_SOCKET"
STARTING_VARIABLE: Final = "DMSINIT_STARTING"
"""Set for what the start itself waits for (user-patches.sh): that must not wait for the end of the start."""
_UNRESERVED: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


class Unreachable(Exception):
    """dmsinit does not answer; the message says why and what to do."""


class Reply:
    """An answer whose head has been read; the body comes as it arrives."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._file = connection.makefile("rb")
        try:
            self.status = int(self._file.readline().split(None, 2)[1])
            self.headers: dict[str, str] = {}
            while line := self._file.readline().strip():
                name, _, value = line.decode("latin-1").partition(":")
                self.headers[name.lower()] = value.strip()
        except (IndexError, ValueError, OSError) as error:
            self.close()
            raise Unreachable("dmsinit did not answer; the container's log says why") from error

    def body(self) -> bytes:
        """Return the whole body."""
        return b"".join(self.chunks())

    def json(self) -> Any:
        """Return the body as the value that it holds."""
        return json.loads(self.body())

    def lines(self) -> Iterator[Any]:
        """Yield the value of each line of an NDJSON body as soon as it is complete."""
        rest = b""
        for chunk in self.chunks():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield json.loads(line)

    def chunks(self) -> Iterator[bytes]:
        """Yield the body in parts; Unreachable when it breaks off."""
        try:
            if self.headers.get("transfer-encoding", "").lower() == "chunked":
                while size := int(self._file.readline().split(b";")[0], 16):
                    yield self._exactly(size)
                    self._file.readline()
            else:
                yield self._exactly(int(self.headers.get("content-length", "0")))
        except (ValueError, OSError) as error:
            raise Unreachable("dmsinit closed the connection in mid-answer; the container's log says why") from error
        finally:
            self.close()

    def _exactly(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise ConnectionResetError
        return data

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._connection.close()


class Pending:
    """A request that was sent and not answered yet, so that several can run at once without threads."""

    def __init__(self, method: str, target: str, *, path: str | None = None) -> None:
        path = path or os.environ.get(SOCKET_VARIABLE) or SOCKET
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._connection.connect(path)
            self._connection.sendall(
                f"{method} {target} HTTP/1.1\r\nHost: dmsinit\r\nConnection: close\r\n"
                "Content-Length: 0\r\n\r\n".encode()
            )
        except OSError as error:
            self._connection.close()
            raise Unreachable(_explain(path, error)) from error

    def answered_within(self, seconds: float) -> bool:
        """Return whether the answer begins within so many seconds."""
        return bool(select.select([self._connection], [], [], seconds)[0])

    def reply(self) -> Reply:
        """Wait for the answer."""
        return Reply(self._connection)


def request(method: str, target: str, *, path: str | None = None) -> Reply:
    """Send a request and wait for the head of the answer. Raises Unreachable."""
    return Pending(method, target, path=path).reply()


def quote(text: str) -> str:
    """Return text for use as a segment or value in a request target (RFC 3986, 2.1)."""
    return "".join(chr(byte) if chr(byte) in _UNRESERVED else f"%{byte:02X}" for byte in text.encode())


def _explain(path: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"cannot reach dmsinit: {path} does not exist; is it running here as PID 1?"
    if isinstance(error, ConnectionRefusedError):
        return f"cannot reach dmsinit: connection refused at {path}; restart the container"
    if isinstance(error, PermissionError):
        return "cannot reach dmsinit: permission denied; run this as root or as a member of the group dmsinit"
    return f"cannot reach dmsinit at {path}: {error.strerror}"
