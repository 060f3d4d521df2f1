"""`/v1/apply`: render, check, install and converge."""

from typing import Final

from dmsinit.control.errors import refusal
from dmsinit.control.messages import Request, Response, json_response
from dmsinit.control.operations import Applied
from dmsinit.control.route import Answer, Context, Parameter, Route
from dmsinit.problem import ProblemsFound
from dmsinit.supervisor.errors import OperationFailed

_DRY_RUN: Final = Parameter("dry_run", "boolean", "Change nothing, as GET /v1/plan", default=False)
_WAIT: Final = Parameter("wait", "boolean", "During the boot, wait for its end first", default=False)
_UNSEEN: Final = Parameter("unseen", "boolean", "Only warnings that no earlier answer held", default=False)


async def _apply(context: Context, request: Request, _name: str) -> Response:
    dry_run, unseen = request.flag("dry_run"), request.flag("unseen")
    operations = context.operations
    try:
        done = await context.to_the_end(operations.apply(dry_run=dry_run, wait=request.flag("wait")))
    except (OperationFailed, ProblemsFound) as error:
        return refusal(error, warnings=operations.warnings(unseen=unseen))
    warnings = [] if dry_run else operations.warnings(unseen=unseen)
    return json_response(Applied(changes=done.changes, actions=done.actions, warnings=warnings))


ROUTES: Final = (
    Route(
        "POST", "/v1/apply", _apply, "Apply the configuration, and answer when it is in force",
        (Answer(Applied),), (_DRY_RUN, _WAIT, _UNSEEN), (409, 422),
    ),
)  # fmt: skip
