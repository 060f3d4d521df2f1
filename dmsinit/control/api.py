"""The control API: which route answers a request, and who may ask (DESIGN section 6).

Errors of the rooms below become problems here and in `errors`, and nowhere else.
"""

from collections.abc import Callable, Sequence

from dmsinit.control.errors import refusal
from dmsinit.control.messages import Refused, Request, Response, Stream, problem
from dmsinit.control.operations import Operations
from dmsinit.control.resources import PUBLIC, ROUTES
from dmsinit.control.route import Context, Route
from dmsinit.problem import ProblemsFound
from dmsinit.supervisor.errors import NoSuchService, OperationFailed


class Api:
    """The control API over `operations`.

    `group_id` is the group whose members may read (None: root alone). `on_defect` is called with an exception that no
    handler foresaw: the client gets a 500, and PID 1 lives on.
    """

    def __init__(
        self, operations: Operations, *, group_id: int | None, on_defect: Callable[[Request, Exception], None]
    ) -> None:
        self._context = Context(operations)
        self._group_id = group_id
        self._on_defect = on_defect

    @property
    def followers(self) -> int:
        """How many clients follow logs or events."""
        return self._context.streams

    async def control(self, request: Request) -> Response | Stream:
        """Answer a request on the control socket; the peer's rights are checked each time."""
        peer = request.peer
        if peer is None or not peer.may_read(self._group_id):
            return problem(403, "only root and members of the group dmsinit may ask")
        if request.method not in ("GET", "HEAD") and not peer.may_operate():
            return problem(403, "only root may operate on services; members of the group dmsinit may read")
        return await self._dispatch(ROUTES, request)

    async def public(self, request: Request) -> Response | Stream:
        """Answer a request on the metrics port: /metrics, /livez and /readyz."""
        return await self._dispatch(PUBLIC, request)

    async def _dispatch(self, routes: Sequence[Route], request: Request) -> Response | Stream:
        segments = request.path.split("/")
        method = "GET" if request.method == "HEAD" else request.method
        fitting = [(route, name) for route in routes if (name := route.match(segments)) is not None]
        for route, name in fitting:
            if route.method == method:
                return await self._guarded(route, request, name)
        if fitting:
            allowed = ", ".join(sorted({route.method for route, _ in fitting}))
            raise Refused(405, f"{request.path} answers {allowed}", headers=[("allow", allowed)])
        raise Refused(404, f"{request.path[:200]} not found")

    async def _guarded(self, route: Route, request: Request, name: str) -> Response | Stream:
        try:
            return await route.handler(self._context, request, name)
        except Refused:
            raise
        except (OperationFailed, ProblemsFound) as error:
            return refusal(error)
        except NoSuchService as error:
            return problem(404, str(error), kind="no-such-service", service=error.name, suggestion=error.suggestion)
        except Exception as error:  # noqa: BLE001 -- a defect in one call must not end PID 1
            self._on_defect(request, error)
            return problem(500, f"dmsinit has a defect: {type(error).__name__}; its log tells more", kind="defect")
