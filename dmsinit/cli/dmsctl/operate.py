"""`dmsctl start|stop|restart|reload NAME …`."""

import argparse
import time
from typing import Any

from dmsinit.cli.all_services import all_services
from dmsinit.cli.dmsctl import views
from dmsinit.cli.dmsctl.command import PROGRAM, Arguments, print_json
from dmsinit.cli.errors import DONE, ProblemReceived, checked, tell
from dmsinit.control.client import Pending, quote


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the names, and whether to wait."""
    parser.add_argument("names", nargs="+", metavar="NAME", help="a service, or `all`")
    parser.add_argument(
        "--wait", action=argparse.BooleanOptionalAction, default=True,
        help="return when it is done (default), or at once",
    )  # fmt: skip


def run(arguments: Arguments) -> int:
    """Operate on services: all are asked at once, as the supervisor orders them."""
    names = all_services(arguments.verb) if arguments.names == ["all"] else list(dict.fromkeys(arguments.names))
    began = time.monotonic()
    wait = "true" if arguments.wait else "false"
    pending = [Pending("POST", f"/v1/services/{quote(name)}/{arguments.verb}?wait={wait}") for name in names]
    code = DONE
    answers: list[Any] = []
    for one in pending:
        try:
            answer = checked(one.reply()).json()
        except ProblemReceived as problem:
            answer = problem.document
            if not arguments.json:
                tell(PROGRAM, problem)
            code = max(code, problem.exit_code)
        else:
            if not arguments.json:
                print(views.outcome(answer, time.monotonic() - began if arguments.wait else None))
        answers.append(answer)
    if arguments.json:
        print_json(answers[0] if len(answers) == 1 else answers)
    return code
