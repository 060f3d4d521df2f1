"""Errors of the rooms below, as problems (RFC 9457)."""

from dmsinit.control.messages import Response, problem
from dmsinit.problem import ProblemsFound
from dmsinit.supervisor.errors import OperationFailed


def refusal(error: OperationFailed | ProblemsFound, **more: object) -> Response:
    """Return what went wrong as a problem, with further members."""
    if isinstance(error, OperationFailed):
        status, kind, members = 409, "operation-failed", {"log": error.log_lines, **more}
    else:
        problems = [{"where": one.where, "cause": one.cause, "remedy": one.remedy} for one in error.problems]
        status, kind, members = 422, "invalid-configuration", {"problems": problems, **more}
    return problem(status, str(error), kind=kind, headers=(), **members)
