"""`/v1/services/NAME/logs`: what a service wrote, and writes."""

from typing import Final

import msgspec

from dmsinit.control.messages import NDJSON, Request, Response, Stream, log_line
from dmsinit.control.route import Answer, Context, Parameter, Route

MAX_LINES: Final = 100_000
DEFAULT_LINES: Final = 100
FOLLOW: Final = Parameter("follow", "boolean", "Go on with what comes, until the client goes", default=False)
_LINES: Final = Parameter("lines", "integer", "How many of the last lines", DEFAULT_LINES, MAX_LINES)


class LogLine(msgspec.Struct):
    """One line of a log; what is not Unicode in it is a question mark."""

    line: str


async def _logs(context: Context, request: Request, name: str) -> Response | Stream:
    lines = request.number("lines", DEFAULT_LINES, MAX_LINES)
    if not request.flag("follow"):
        return Response(b"".join(map(log_line, context.operations.log_lines(name, lines))), content_type=NDJSON)
    context.operations.service(name)  # a wrong name is a 404, not a stream that ends
    return context.stream(log_line, context.operations.follow_log(name, lines))


ROUTES: Final = (
    Route(
        "GET", "/v1/services/NAME/logs", _logs, "The last log lines of a service",
        (Answer(LogLine, media=NDJSON),), (_LINES, FOLLOW), (404,),
    ),
)  # fmt: skip
