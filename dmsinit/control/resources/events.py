"""`/v1/events`: transitions of services."""

from typing import Final

from dmsinit.control.messages import NDJSON, Request, Response, Stream, ndjson
from dmsinit.control.resources.logs import DEFAULT_LINES, FOLLOW, MAX_LINES
from dmsinit.control.route import Answer, Context, Parameter, Route
from dmsinit.supervisor.status import Event

_LIMIT: Final = Parameter("limit", "integer", "How many of the last events", DEFAULT_LINES, MAX_LINES)


async def _events(context: Context, request: Request, _name: str) -> Response | Stream:
    limit = request.number("limit", DEFAULT_LINES, MAX_LINES)
    if not request.flag("follow"):
        return Response(b"".join(map(ndjson, context.operations.events(limit))), content_type=NDJSON)
    return context.stream(ndjson, context.operations.follow_events(limit))


ROUTES: Final = (
    Route("GET", "/v1/events", _events, "The last transitions", (Answer(Event, media=NDJSON),), (_LIMIT, FOLLOW)),
)
