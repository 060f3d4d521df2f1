"""A client of ManageSieve (RFC 5804): what a user with a mail program can do to the scripts on the server."""

import base64
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRWPair

from tests.image.harness import PASSWORD, PATIENCE_SECONDS, Server


class ManageSieve:
    """A session of a user; the server under test must allow passwords without TLS (SSL_TYPE empty)."""

    def __init__(self, stream: BufferedRWPair) -> None:
        self._stream = stream
        self.greeting = self._answer()

    def call(self, command: bytes) -> bytes:
        """Return the whole answer to a command; its last line begins with OK, NO or BYE."""
        self._stream.write(command + b"\r\n")
        self._stream.flush()
        return self._answer()

    def put(self, name: str, script: str) -> bytes:
        """Upload a script and, if the server takes it, make it the active one; return the server's answer."""
        text = script.encode()
        answer = self.call(b'PUTSCRIPT "%s" {%d+}\r\n%s' % (name.encode(), len(text), text))
        if answer.startswith(b"OK"):
            assert self.call(b'SETACTIVE "%s"' % name.encode()).startswith(b"OK")
        return answer

    def _answer(self) -> bytes:
        answer = b""
        while True:
            line = self._stream.readline()
            assert line, b"the server closed the connection after: " + answer
            answer += line
            if literal := re.search(rb"\{(\d+)\}\r\n$", line):
                answer += self._stream.read(int(literal.group(1))) + self._stream.readline()
            if line.startswith((b"OK", b"NO", b"BYE")):
                return answer


@contextmanager
def managesieve(server: Server, user: str) -> Iterator[ManageSieve]:
    """Log in to port 4190."""
    with socket.create_connection((server.address, 4190), timeout=PATIENCE_SECONDS) as connection:
        session = ManageSieve(connection.makefile("rwb"))
        token = base64.b64encode(f"\0{user}\0{PASSWORD}".encode())
        assert session.call(b'AUTHENTICATE "PLAIN" "%s"' % token).startswith(b"OK")
        yield session
        session.call(b"LOGOUT")
