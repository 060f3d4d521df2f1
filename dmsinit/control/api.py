"""The calls of the control socket, and the few that the metrics port offers too (DESIGN section 6).

Each route is a method, a path of literal and named segments, and a handler. Errors of the rooms below become problems
here and nowhere else.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from dmsinit.control import blame
from dmsinit.control.messages import (
    NDJSON,
    TEXT,
    Refused,
    Request,
    Response,
    Stream,
    json_response,
    log_line,
    ndjson,
    problem,
)
from dmsinit.control.operations import VERBS, Operations, Verb
from dmsinit.problem import ProblemsFound
from dmsinit.supervisor.errors import NoSuchService, OperationFailed

MAX_LINES: Final = 100_000
DEFAULT_LINES: Final = 100
MAX_STREAMS: Final = 64
"""Followers that stay for ever must leave room for those who want to operate."""

OPENMETRICS_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

T = TypeVar("T")
Handler = Callable[[Request, str], Awaitable[Response | Stream]]


@dataclass(frozen=True, slots=True)
class Route:
    """A call: `path` may hold one `NAME` segment, whose text the handler gets."""

    method: str
    path: str
    handler: Handler

    def match(self, segments: Sequence[str]) -> str | None:
        """Return the text of the NAME segment ("" without one) if the path fits, else None."""
        name = ""
        own = self.path.split("/")
        if len(own) != len(segments):
            return None
        for expected, given in zip(own, segments, strict=True):
            if expected == "NAME" and given:
                name = given
            elif expected != given:
                return None
        return name


class Api:
    """The control API over `operations`.

    `group_id` is the group whose members may read (None: root alone). `on_defect` is told of an exception that no
    handler foresaw: the client gets a 500, and PID 1 lives on.
    """

    def __init__(
        self, operations: Operations, *, group_id: int | None, on_defect: Callable[[Request, Exception], None]
    ) -> None:
        self._operations = operations
        self._group_id = group_id
        self._on_defect = on_defect
        self._streams = 0
        self._running: set[asyncio.Task[object]] = set()
        self._public = (
            Route("GET", "/livez", self._livez),
            Route("GET", "/readyz", self._readyz),
            Route("GET", "/metrics", self._metrics),
        )
        self._routes = (
            *self._public,
            Route("GET", "/v1/status", self._status),
            Route("GET", "/v1/services", self._services),
            Route("GET", "/v1/services/NAME", self._service),
            *(Route("POST", f"/v1/services/NAME/{verb}", self._operation(verb)) for verb in VERBS),
            Route("POST", "/v1/services/NAME/signal", self._signal),
            Route("GET", "/v1/services/NAME/logs", self._logs),
            Route("GET", "/v1/events", self._events),
            Route("GET", "/v1/blame", self._blame),
            Route("GET", "/v1/plan", self._plan_changes),
            Route("GET", "/v1/plan/current", self._plan),
            Route("POST", "/v1/apply", self._apply),
            Route("POST", "/v1/reexec", self._reexec),
        )

    async def control(self, request: Request) -> Response | Stream:
        """Answer a request on the control socket; the peer's rights are checked each time."""
        peer = request.peer
        if peer is None or not peer.may_read(self._group_id):
            return problem(403, "only root and members of the group dmsinit may ask")
        if request.method not in ("GET", "HEAD") and not peer.may_operate():
            return problem(403, "only root may operate on services; members of the group dmsinit may read")
        return await self._dispatch(self._routes, request)

    async def public(self, request: Request) -> Response | Stream:
        """Answer a request on the metrics port: /metrics, /livez and /readyz."""
        return await self._dispatch(self._public, request)

    async def _dispatch(self, routes: Sequence[Route], request: Request) -> Response | Stream:
        segments = request.path.split("/")
        method = "GET" if request.method == "HEAD" else request.method
        fitting = [(route, name) for route in routes if (name := route.match(segments)) is not None]
        for route, name in fitting:
            if route.method == method:
                return await self._guarded(route.handler, request, name)
        if fitting:
            allowed = ", ".join(sorted({route.method for route, _ in fitting}))
            raise Refused(405, f"{request.path} answers {allowed}", headers=[("allow", allowed)])
        raise Refused(404, f"there is no {request.path[:200]}")

    async def _guarded(self, handler: Handler, request: Request, name: str) -> Response | Stream:
        try:
            return await handler(request, name)
        except Refused:
            raise
        except (OperationFailed, ProblemsFound) as error:
            return _refusal(error)
        except NoSuchService as error:
            return problem(404, str(error), kind="no-such-service", service=error.name, suggestion=error.suggestion)
        except Exception as error:  # noqa: BLE001 -- a defect in one call must not end PID 1
            self._on_defect(request, error)
            return problem(500, f"dmsinit has a defect: {type(error).__name__}; its log tells more", kind="defect")

    # Asking

    async def _status(self, _request: Request, _name: str) -> Response:
        return json_response(self._operations.status())

    async def _services(self, _request: Request, _name: str) -> Response:
        return json_response(self._operations.status().services)

    async def _service(self, _request: Request, name: str) -> Response:
        return json_response(self._operations.service(name))

    async def _blame(self, _request: Request, _name: str) -> Response:
        return json_response(blame.explain(self._operations.blame()))

    async def _plan(self, _request: Request, _name: str) -> Response:
        plan = self._operations.plan()
        if plan is None:
            raise Refused(503, "no plan is in force yet: the configuration is still being rendered")
        return json_response(plan)

    async def _plan_changes(self, request: Request, _name: str) -> Response:
        return json_response(await self._operations.plan_changes(diff=request.flag("diff")))

    async def _livez(self, _request: Request, _name: str) -> Response:
        return _verdict("alive", *self._operations.livez())

    async def _readyz(self, _request: Request, _name: str) -> Response:
        return _verdict("ready", *self._operations.readyz())

    async def _metrics(self, request: Request, _name: str) -> Response:
        openmetrics = "application/openmetrics-text" in request.accept
        body = await self._operations.metrics(openmetrics=openmetrics)
        return Response(body, content_type=OPENMETRICS_TYPE if openmetrics else PROMETHEUS_TYPE)

    # Following

    async def _logs(self, request: Request, name: str) -> Response | Stream:
        lines = request.number("lines", DEFAULT_LINES, MAX_LINES)
        if not request.flag("follow"):
            return Response(b"".join(map(log_line, self._operations.log_lines(name, lines))), content_type=NDJSON)
        self._operations.service(name)  # a wrong name is a 404, not a stream that ends
        return self._stream(log_line, self._operations.follow_log(name, lines))

    async def _events(self, request: Request, _name: str) -> Response | Stream:
        limit = request.number("limit", DEFAULT_LINES, MAX_LINES)
        if not request.flag("follow"):
            return Response(b"".join(map(ndjson, self._operations.events(limit))), content_type=NDJSON)
        return self._stream(ndjson, self._operations.follow_events(limit))

    def _stream(self, encode: Callable[[Any], bytes], items: AsyncIterator[object]) -> Stream:
        if self._streams >= MAX_STREAMS:
            raise Refused(503, f"{MAX_STREAMS} clients follow logs or events already", headers=[("retry-after", "5")])
        return Stream(self._encoded(encode, items))

    async def _encoded(
        self, encode: Callable[[Any], bytes], items: AsyncIterator[object]
    ) -> AsyncGenerator[bytes, None]:
        self._streams += 1  # here, because a generator that never began is closed without its `finally`
        try:
            async for item in items:
                yield encode(item)
        finally:
            self._streams -= 1
            if isinstance(items, AsyncGenerator):
                await items.aclose()

    # Operating

    def _operation(self, verb: Verb) -> Handler:
        async def handler(request: Request, name: str) -> Response:
            wait = request.flag("wait")
            status = await self._to_the_end(self._operations.operate(name, verb, wait=wait))
            return json_response(status, 200 if wait else 202)

        return handler

    async def _signal(self, request: Request, name: str) -> Response:
        signal = request.query.get("signal", "")
        if not signal:
            raise Refused(400, "which signal? write ?signal=HUP")
        return json_response(await self._to_the_end(self._operations.signal(name, signal)))

    async def _apply(self, request: Request, _name: str) -> Response:
        dry_run, unseen = request.flag("dry_run"), request.flag("unseen")
        try:
            done = await self._to_the_end(self._operations.apply(dry_run=dry_run, wait=request.flag("wait")))
        except (OperationFailed, ProblemsFound) as error:
            return _refusal(error, warnings=self._operations.warnings(unseen=unseen))
        return json_response({**done, "warnings": [] if dry_run else self._operations.warnings(unseen=unseen)})

    async def _reexec(self, _request: Request, _name: str) -> Response:
        if self._operations.reexec is None:
            raise Refused(503, "cannot re-execute dmsinit: the server is still booting; try again when it is up")
        await self._to_the_end(self._operations.reexec())
        return json_response({"reexec": True}, 202)

    async def _to_the_end(self, operation: Awaitable[T]) -> T:
        """Await an operation that goes on even when the client who asked for it has gone."""
        task = asyncio.ensure_future(operation)
        self._running.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    def _forget(self, task: asyncio.Task[object]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # asked for, so that asyncio does not complain when nobody waited any more


def _refusal(error: OperationFailed | ProblemsFound, **more: object) -> Response:
    """Return what went wrong as a problem, with further members."""
    if isinstance(error, OperationFailed):
        status, kind, members = 409, "operation-failed", {"log": error.log_lines, **more}
    else:
        problems = [{"where": one.where, "cause": one.cause, "remedy": one.remedy} for one in error.problems]
        status, kind, members = 422, "invalid-configuration", {"problems": problems, **more}
    return problem(status, str(error), kind=kind, headers=(), **members)


def _verdict(word: str, holds: bool, reasons: Sequence[str]) -> Response:
    lines = [word] if holds else [f"not {word}", *reasons]
    return Response("".join(f"{line}\n" for line in lines).encode(), 200 if holds else 503, TEXT)
