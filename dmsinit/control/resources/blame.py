"""`/v1/blame`: why the boot took as long as it did."""

from typing import Final

from dmsinit.control.blame import Blame, explain
from dmsinit.control.messages import Request, Response, json_response
from dmsinit.control.route import Answer, Context, Route


async def _blame(context: Context, _request: Request, _name: str) -> Response:
    return json_response(explain(context.operations.blame()))


ROUTES: Final = (Route("GET", "/v1/blame", _blame, "The boot, and its critical chain", (Answer(Blame),)),)
