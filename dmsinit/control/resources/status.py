"""`/v1/status`: the whole system at one moment."""

from typing import Final

from dmsinit.control.messages import Request, Response, json_response
from dmsinit.control.operations import Status
from dmsinit.control.route import Answer, Context, Route


async def _status(context: Context, _request: Request, _name: str) -> Response:
    return json_response(context.operations.status())


ROUTES: Final = (Route("GET", "/v1/status", _status, "The state of the system and of all services", (Answer(Status),)),)
