"""One question for each protocol. Each returns on the right answer and raises ProbeFailed on any other."""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Final

from dmsinit.plan import Probe
from dmsinit.probes._stream import ProbeFailed, connect, note_peer, read_line

_MILTER_VERSION: Final = 6
_MILTER_ALL_ACTIONS: Final = 0x1FF
_MILTER_ALL_STEPS: Final = 0x1FFFFF
_MILTER_LONGEST: Final = 4096
_NOT_PROXIED: Final = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
"""The PROXY protocol's header (version 2, LOCAL) of a connection that no proxy made: section 2.2 of its specification
has it for health checks."""


async def tcp(probe: Probe) -> None:
    """The port accepts a connection."""
    async with connect(probe.address):
        pass


async def unix(probe: Probe) -> None:
    """The socket accepts a connection; a datagram socket such as /dev/log has a receiver (unix(7))."""
    path = probe.address.removeprefix("unix:")
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK) as client:
            try:
                client.connect(path)
                note_peer(client)
                return
            except OSError as error:
                problem = error
    raise ProbeFailed(f"{path}: {problem.strerror}")


async def _greeting(address: str, expected: tuple[str, ...], farewell: bytes) -> None:
    proxied = address.startswith("haproxy:")
    async with connect(address.replace("haproxy:", "inet:", 1)) as (reader, writer):
        if proxied:
            writer.write(_NOT_PROXIED)
            await writer.drain()
        line = await read_line(reader)
        if not line.startswith(expected):
            raise ProbeFailed(f"greeted with {line[:80]!r}")
        # A first line that announces more (`220-`) is the teaser of postscreen(8), which takes any word before the
        # last line for the feedback of a spammer.
        if farewell and not line.startswith("220-"):
            await _say_farewell(writer, farewell)


async def _say_farewell(writer: asyncio.StreamWriter, words: bytes) -> None:
    """Leave politely; the answer was right, so that it does not matter whether the other side still listens."""
    with suppress(ConnectionError):
        writer.write(words)
        await writer.drain()


async def smtp(probe: Probe) -> None:
    """The server greets with 220 (RFC 5321 section 4.2); the first line of postscreen's greeting is enough.

    Of several addresses (blanks between them) the first must greet with 220. The others, where a user's rules decide
    about us like about any other client, must answer at all: also a refusal shows that somebody is there.
    """
    for number, address in enumerate(probe.address.split()):
        await _greeting(address, ("220",) if not number else ("2", "4", "5"), b"QUIT\r\n")


async def lmtp(probe: Probe) -> None:
    """The server greets with 220 (RFC 2033)."""
    await _greeting(probe.address, ("220",), b"QUIT\r\n")


async def imap(probe: Probe) -> None:
    """The server greets with `* OK` (RFC 9051 section 7.1.1)."""
    await _greeting(probe.address, ("* OK",), b"a LOGOUT\r\n")


async def milter(probe: Probe) -> None:
    """The filter negotiates options: SMFIC_OPTNEG both ways (sendmail's mfdef.h), then SMFIC_QUIT."""
    async with connect(probe.address) as (reader, writer):
        options = struct.pack("!III", _MILTER_VERSION, _MILTER_ALL_ACTIONS, _MILTER_ALL_STEPS)
        writer.write(struct.pack("!Ic", 1 + len(options), b"O") + options)
        await writer.drain()
        (length,) = struct.unpack("!I", await reader.readexactly(4))
        if not 13 <= length <= _MILTER_LONGEST:
            raise ProbeFailed(f"answered the option negotiation with a packet of {length} bytes")
        packet = await reader.readexactly(length)
        if packet[:1] != b"O":
            raise ProbeFailed(f"answered the option negotiation with {packet[:1]!r}")
        await _say_farewell(writer, struct.pack("!Ic", 1, b"Q"))


async def clamd(probe: Probe) -> None:
    """The daemon answers PING with PONG (clamd(8))."""
    async with connect(probe.address) as (reader, writer):
        writer.write(b"nPING\n")
        await writer.drain()
        answer = await read_line(reader)
        if answer != "PONG":
            raise ProbeFailed(f"answered PING with {answer[:80]!r}")


async def redis(probe: Probe) -> None:
    """The server answers PING with PONG (Redis protocol)."""
    async with connect(probe.address) as (reader, writer):
        writer.write(b"PING\r\n")
        await writer.drain()
        answer = await read_line(reader)
        if answer != "+PONG" and not answer.startswith("-NOAUTH"):  # a password of the user's: it lives
            raise ProbeFailed(f"answered PING with {answer[:80]!r}")


async def http(probe: Probe) -> None:
    """A GET of `http://HOST:PORT/PATH` is answered with a status below 400 (RFC 9110)."""
    authority, _, path = probe.address.removeprefix("http://").partition("/")
    async with connect(f"inet:{authority if ':' in authority else authority + ':80'}") as (reader, writer):
        writer.write(f"GET /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        answer = await read_line(reader)
        status = answer.split(" ")[1:2]
        if not answer.startswith("HTTP/") or not status or not status[0].isdigit() or int(status[0]) >= 400:
            raise ProbeFailed(f"answered GET with {answer[:80]!r}")
