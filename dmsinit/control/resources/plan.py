"""`/v1/plan`: what an apply would do, and the Plan in force."""

from typing import Final

from dmsinit.control.messages import Refused, Request, Response, json_response
from dmsinit.control.operations import Changes
from dmsinit.control.route import Answer, Context, Parameter, Route
from dmsinit.plan import Plan

_DIFF: Final = Parameter("diff", "boolean", "With the lines that would change", default=False)


async def _changes(context: Context, request: Request, _name: str) -> Response:
    return json_response(await context.operations.plan_changes(diff=request.flag("diff")))


async def _current(context: Context, _request: Request, _name: str) -> Response:
    plan = context.operations.plan()
    if plan is None:
        raise Refused(503, "no plan is in force yet: the configuration is still being rendered")
    return json_response(plan)


ROUTES: Final = (
    Route("GET", "/v1/plan", _changes, "What an apply would do", (Answer(Changes),), (_DIFF,), (409, 422)),
    Route("GET", "/v1/plan/current", _current, "The Plan in force", (Answer(Plan),), errors=(503,)),
)
