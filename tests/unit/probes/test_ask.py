"""Each probe against a real socket that answers rightly, wrongly, slowly, or not at all."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dmsinit.plan import Probe, ProbeKind
from dmsinit.probes import ProbeFailed, ask

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def no_command(_argv: Sequence[str]) -> int:
    raise AssertionError("this probe runs no command")


async def child(argv: Sequence[str]) -> int:
    return await (await asyncio.create_subprocess_exec(*argv)).wait()


@asynccontextmanager
async def server(talk: Talk) -> AsyncIterator[str]:
    talks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            await talk(reader, writer)
        except ConnectionError:
            pass  # the probe has heard enough
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    listener = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with listener:
        yield f"inet:127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    await asyncio.gather(*talks)


def says(text: bytes, *, after: bytes = b"") -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if after:
            assert await reader.readexactly(len(after)) == after
        writer.write(text)
        await writer.drain()
        await reader.read()

    return talk


OPTNEG = struct.pack("!Ic3I", 13, b"O", 6, 0x1FF, 0x1FFFFF)

RIGHT: list[tuple[ProbeKind, bytes, bytes]] = [
    ("tcp", b"", b""),
    ("smtp", b"", b"220 mail.example.test ESMTP\r\n"),
    ("smtp", b"", b"220-mail.example.test ESMTP\r\n"),
    ("lmtp", b"", b"220 mail.example.test LMTP\r\n"),
    ("imap", b"", b"* OK [CAPABILITY IMAP4rev1] ready\r\n"),
    ("clamd", b"nPING\n", b"PONG\n"),
    ("redis", b"PING\r\n", b"+PONG\r\n"),
    ("milter", OPTNEG, struct.pack("!Ic3I", 13, b"O", 6, 0x1FF, 0)),
]

WRONG: list[tuple[ProbeKind, bytes, str]] = [
    ("smtp", b"554 no service\r\n", "greeted with '554 no service'"),
    ("smtp", b"", "connection closed"),
    ("smtp", b"x" * 5000, "a line of more than 1024 bytes"),
    ("imap", b"* BYE too busy\r\n", "greeted with"),
    ("clamd", b"UNKNOWN COMMAND\n", "answered PING with 'UNKNOWN COMMAND'"),
    ("redis", b"-LOADING dataset\r\n", "answered PING with"),
    ("milter", struct.pack("!Ic", 1, b"t"), "a packet of 1 bytes"),
    ("milter", struct.pack("!Ic3I", 13, b"x", 6, 0, 0), "answered the option negotiation with b'x'"),
    ("milter", b"HTTP/1.1 400 Bad", "a packet of"),
    ("milter", b"\0\0", "connection closed"),
]


@pytest.mark.parametrize(
    ("kind", "expected", "answer"), RIGHT, ids=[f"{kind}-{i}" for i, (kind, *_) in enumerate(RIGHT)]
)
async def test_the_right_answer(kind: ProbeKind, expected: bytes, answer: bytes) -> None:
    async with server(says(answer, after=expected)) as address:
        await ask(Probe(kind=kind, address=address), no_command)


@pytest.mark.parametrize(
    ("kind", "answer", "problem"), WRONG, ids=[f"{kind}-{i}" for i, (kind, *_) in enumerate(WRONG)]
)
async def test_any_other_answer(kind: ProbeKind, answer: bytes, problem: str) -> None:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    async with server(talk) as address:
        with pytest.raises(ProbeFailed) as failure:
            await ask(Probe(kind=kind, address=address), no_command)
    assert problem in str(failure.value)


async def test_http() -> None:
    request: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request.append(await reader.readuntil(b"\r\n\r\n"))
        found = b"GET /ping " in request[-1]
        writer.write(b"HTTP/1.1 200 OK\r\n\r\npong" if found else b"HTTP/1.1 404 Not Found\r\n\r\n")

    async with server(talk) as address:
        url = address.replace("inet:", "http://")
        await ask(Probe(kind="http", address=f"{url}/ping"), no_command)
        with pytest.raises(ProbeFailed, match="404"):
            await ask(Probe(kind="http", address=f"{url}/pong"), no_command)
    assert b"Host: 127.0.0.1:" in request[0]


async def test_silence_is_a_failure_after_the_timeout() -> None:
    async def talk(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with server(talk) as address:
        with pytest.raises(ProbeFailed, match=r"within 0\.05 s"):
            await ask(Probe(kind="smtp", address=address, timeout_seconds=0.05), no_command)


async def test_nobody_listens(tmp_path: Path) -> None:
    async with server(says(b"")) as address:
        pass
    with pytest.raises(ProbeFailed, match="Connection refused|Connect call failed"):
        await ask(Probe(kind="tcp", address=address), no_command)
    with pytest.raises(ProbeFailed, match="No such file"):
        await ask(Probe(kind="unix", address=f"unix:{tmp_path}/none"), no_command)


async def test_unix_sockets_of_both_kinds(tmp_path: Path) -> None:
    import socket

    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        path = tmp_path / kind.name
        with socket.socket(socket.AF_UNIX, kind) as listener:
            listener.bind(str(path))
            if kind is socket.SOCK_STREAM:
                listener.listen()
            await ask(Probe(kind="unix", address=str(path)), no_command)
        with pytest.raises(ProbeFailed, match="Connection refused"):
            await ask(Probe(kind="unix", address=str(path)), no_command)


async def test_file(tmp_path: Path) -> None:
    await ask(Probe(kind="file", address=str(tmp_path)), child)
    with pytest.raises(ProbeFailed, match="none does not exist"):
        await ask(Probe(kind="file", address=str(tmp_path / "none")), child)


async def test_command() -> None:
    ran: list[Sequence[str]] = []

    async def run(argv: Sequence[str]) -> int:
        ran.append(argv)
        return int(argv[-1])

    await ask(Probe(kind="command", command=("exit", "0")), run)
    with pytest.raises(ProbeFailed, match=r"its check \(exit\) ended with exit code 3"):
        await ask(Probe(kind="command", command=("exit", "3")), run)
    assert ran == [("exit", "0"), ("exit", "3")]


@pytest.mark.parametrize("address", ["", "inet:", "127.0.0.1", "inet:127.0.0.1:http"])
async def test_a_bad_address_is_said(address: str) -> None:
    with pytest.raises(ProbeFailed, match="not an address"):
        await ask(Probe(kind="tcp", address=address), no_command)
