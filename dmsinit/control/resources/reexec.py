"""`/v1/reexec`: PID 1 replaces its own code."""

from typing import Final

import msgspec

from dmsinit.control.messages import Refused, Request, Response, json_response
from dmsinit.control.operations import NotYet
from dmsinit.control.route import Answer, Context, Route


class Reexecution(msgspec.Struct):
    """The re-execution follows at once."""

    reexec: bool


async def _reexec(context: Context, _request: Request, _name: str) -> Response:
    try:
        await context.to_the_end(context.operations.reexec())
    except NotYet as error:
        raise Refused(503, str(error)) from None
    return json_response(Reexecution(reexec=True), 202)


ROUTES: Final = (
    Route(
        "POST", "/v1/reexec", _reexec, "Replace dmsinit by what is installed now, in place",
        (Answer(Reexecution, 202),), errors=(409, 503),
    ),
)  # fmt: skip
