"""A call of the control API: method, path, handler, and its description in docs/reference/openapi.json."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

from dmsinit.control.messages import JSON, Refused, Request, Response, Stream
from dmsinit.control.operations import Operations

MAX_STREAMS: Final = 64
"""Followers that stay for ever must leave room for those who want to operate."""
NAME: Final = "NAME"
"""The segment of a path whose text the handler gets."""

T = TypeVar("T")


class Context:
    """What handlers work with: the running system, and what of the API itself outlives one call."""

    def __init__(self, operations: Operations) -> None:
        self.operations = operations
        self.streams = 0
        self._running: set[asyncio.Task[object]] = set()

    def stream(self, encode: Callable[[Any], bytes], items: AsyncIterator[object]) -> Stream:
        """Return items as an answer without an end. Raises Refused (503) when too many clients follow already."""
        if self.streams >= MAX_STREAMS:
            raise Refused(503, f"{MAX_STREAMS} clients follow logs or events already", headers=[("retry-after", "5")])
        return Stream(self._encoded(encode, items))

    async def _encoded(
        self, encode: Callable[[Any], bytes], items: AsyncIterator[object]
    ) -> AsyncGenerator[bytes, None]:
        self.streams += 1  # here, because a generator that never began is closed without its `finally`
        try:
            async for item in items:
                yield encode(item)
        finally:
            self.streams -= 1
            if isinstance(items, AsyncGenerator):
                await items.aclose()

    async def to_the_end(self, operation: Awaitable[T]) -> T:
        """Await an operation that goes on even when the client who asked for it has gone."""
        task = asyncio.ensure_future(operation)
        self._running.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    def _forget(self, task: asyncio.Task[object]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved, or asyncio would log it as never retrieved


Handler = Callable[[Context, Request, str], Awaitable[Response | Stream]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter."""

    name: str
    kind: Literal["boolean", "integer", "string"]
    text: str
    default: bool | int | None = None
    maximum: int | None = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer: `shape` is the type of its JSON, or of each line of an NDJSON stream."""

    shape: object
    status: int = 200
    media: str = JSON


@dataclass(frozen=True, slots=True)
class Route:
    """A call: `path` may hold one `NAME` segment. `errors` are the statuses that this call has of its own."""

    method: Literal["GET", "POST"]
    path: str
    handler: Handler
    summary: str
    answers: tuple[Answer, ...]
    query: tuple[Parameter, ...] = ()
    errors: tuple[int, ...] = field(default=())

    def match(self, segments: Sequence[str]) -> str | None:
        """Return the text of the NAME segment ("" without one) if the path fits, else None."""
        name = ""
        own = self.path.split("/")
        if len(own) != len(segments):
            return None
        for expected, given in zip(own, segments, strict=True):
            if expected == NAME and given:
                name = given
            elif expected != given:
                return None
        return name
