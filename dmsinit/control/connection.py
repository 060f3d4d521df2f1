"""One client of the server: HTTP/1.1 by h11 over asyncio streams, with a deadline for everything.

A client that sends too slowly, too much or garbage gets an answer and is hung up on; one that reads too slowly or goes
away is hung up on. Nothing that a client does grows memory beyond the limits below.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import h11

from dmsinit.control.messages import TITLES, Refused, Request, Response, Stream, parse_target, problem
from dmsinit.control.peer import Peer

MAX_HEAD_BYTES: Final = 16 * 1024
MAX_BODY_BYTES: Final = 64 * 1024
"""No call needs a body; what a client sends within this limit is read and ignored."""
READ_BYTES: Final = 16 * 1024
LINGER_BYTES: Final = 1024 * 1024
"""What is still read, and thrown away, from a refused client, so that its kernel keeps our answer for it."""

Answer = Callable[[Request], Awaitable[Response | Stream]]


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a client may take, in seconds.

    `head`: from connecting to the end of a request's head; `idle`: the same for later requests of a connection, longer
    than Prometheus' usual scrape interval of a minute; `body`: for what follows; `write`: until the client has taken a
    part of the answer; `linger`: see LINGER_BYTES.
    """

    head: float = 10.0
    idle: float = 75.0
    body: float = 10.0
    write: float = 60.0
    linger: float = 1.0


async def converse(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answer: Answer,
    *,
    peer: Peer | None = None,
    deadlines: Deadlines = Deadlines(),  # noqa: B008 -- immutable
) -> None:
    """Answer the requests of one client until it is done, then hang up. Lost connections end it quietly."""
    connection = _Connection(reader, writer, answer, peer, deadlines)
    try:
        await connection.run()
    except (OSError, h11.LocalProtocolError):  # a TimeoutError is an OSError
        pass  # the client has gone, or does not read: nobody is left to tell
    finally:
        writer.transport.abort()  # everything that was to be sent has been handed to the kernel


class _Connection:
    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answer: Answer,
        peer: Peer | None,
        deadlines: Deadlines,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._peer = peer
        self._deadlines = deadlines
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        writer.transport.set_write_buffer_limits(high=0)  # drain() then means: all of it is with the kernel

    async def run(self) -> None:
        deadline = self._deadlines.head
        try:
            while await self._one_request(deadline):
                self._http.start_next_cycle()
                deadline = self._deadlines.idle
        except h11.RemoteProtocolError as error:
            await self._refuse(error.error_status_hint, f"this is not HTTP/1.1: {error}")
        except Refused as refusal:
            await self._refuse(refusal.status, str(refusal))

    async def _one_request(self, deadline: float) -> bool:
        """Read a request and answer it; return whether another may follow on this connection."""
        try:
            async with asyncio.timeout(deadline):
                event = await self._next_event()
        except TimeoutError:
            if self._http.trailing_data[0]:
                raise Refused(408, "the request did not arrive in time") from None
            return False
        if not isinstance(event, h11.Request):
            return False  # the client hung up between requests
        await self._read_body(event)
        target = event.target.decode("ascii", "replace")
        headers = dict(event.headers)
        accept = headers.get(b"accept", b"").decode("latin-1")
        try:
            path, query = parse_target(target)
            request = Request(event.method.decode("ascii"), path, query, accept, self._peer)
            response = await self._answer(request)
        except Refused as refusal:
            response = problem(refusal.status, str(refusal), headers=refusal.headers)
        if isinstance(response, Stream):
            await self._send_stream(response.chunks, response.content_type)
            return False
        await self._send_response(response, with_body=event.method != b"HEAD")
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def _next_event(self) -> object:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self._http.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            self._http.receive_data(await self._reader.read(READ_BYTES))

    async def _read_body(self, request: h11.Request) -> None:
        """Read what follows the head and forget it. Raises Refused (413) before reading more than the limit."""
        announced = dict(request.headers).get(b"content-length", b"0")
        if len(announced) > 9 or int(announced) > MAX_BODY_BYTES:
            raise Refused(413, f"a request body may have {MAX_BODY_BYTES} bytes")
        received = 0
        try:
            async with asyncio.timeout(self._deadlines.body):
                while isinstance(event := await self._next_event(), h11.Data):
                    received += len(event.data)
                    if received > MAX_BODY_BYTES:
                        raise Refused(413, f"a request body may have {MAX_BODY_BYTES} bytes")
        except TimeoutError:
            raise Refused(408, "the request body did not arrive in time") from None

    async def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            self._writer.write(data)
            async with asyncio.timeout(self._deadlines.write):
                await self._writer.drain()

    async def _send_response(self, response: Response, *, with_body: bool = True) -> None:
        headers = [
            ("content-type", response.content_type),
            ("content-length", str(len(response.body))),
            *response.headers,
        ]
        data = (
            self._http.send(
                h11.Response(status_code=response.status, headers=headers, reason=TITLES.get(response.status, ""))
            )
            or b""
        )
        if with_body:
            data += self._http.send(h11.Data(data=response.body)) or b""
        data += self._http.send(h11.EndOfMessage()) or b""
        self._writer.write(data)
        async with asyncio.timeout(self._deadlines.write):
            await self._writer.drain()

    async def _send_stream(self, chunks: AsyncGenerator[bytes, None], content_type: str) -> None:
        """Send chunks until they end or the client has gone, whichever is first; then release both."""
        headers = [("content-type", content_type), ("connection", "close")]
        sending = asyncio.ensure_future(self._pump(chunks, h11.Response(status_code=200, headers=headers)))
        gone = asyncio.ensure_future(self._discard())
        try:
            await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            gone.cancel()
            results = await asyncio.gather(sending, gone, return_exceptions=True)
            await chunks.aclose()
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _pump(self, chunks: AsyncGenerator[bytes, None], head: h11.Response) -> None:
        await self._send(head)
        async for chunk in chunks:
            await self._send(h11.Data(data=chunk))
        await self._send(h11.EndOfMessage())

    async def _discard(self, limit_bytes: int = LINGER_BYTES) -> None:
        """Read and forget until the client hangs up or has sent too much."""
        while limit_bytes > 0 and (data := await self._reader.read(READ_BYTES)):
            limit_bytes -= len(data)

    async def _refuse(self, status: int, detail: str) -> None:
        """Answer an error that ends the connection, and give the client the time to read it."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        await self._send_response(problem(status, detail, headers=[("connection", "close")]))
        if self._writer.can_write_eof():
            self._writer.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._deadlines.linger):
                await self._discard()
