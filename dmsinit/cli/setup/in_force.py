"""Having the server that runs here apply what was written into the config volume, and waiting until it is in force."""

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dmsinit.control.client import Reply

SUCCESSOR_SECONDS: Final = 10.0
"""While PID 1 re-executes itself nobody answers; its successor does, on a busy machine within seconds."""
_WRITTEN: Final = "the change is written to the config volume"
_PAUSE_SECONDS: Final = 0.05
_NOTICE_SECONDS: Final = 3.0


class NotInForce(Exception):
    """The change is written, and the server does not work with it; the message says why."""


def apply_now(warn: Callable[[str], None]) -> bool:
    """Return when the configuration is in force; False at once where no server runs, or its start waits for this.

    `warn` gets each warning that nobody has been shown yet. Raises NotInForce with the reason when the
    server does not apply it.
    """
    from dmsinit.cli.errors import ProblemReceived, checked  # not needed where only the volume is edited
    from dmsinit.control.client import SOCKET, SOCKET_VARIABLE, STARTING_VARIABLE

    if STARTING_VARIABLE in os.environ or not os.path.exists(os.environ.get(SOCKET_VARIABLE) or SOCKET):
        return False
    try:
        answer = checked(_reply("/v1/apply?wait=true&unseen=true")).json()
    except ProblemReceived as problem:
        for text in problem.document.get("warnings", ()):
            warn(text)
        raise NotInForce(f"{_WRITTEN}, but not in force: {problem}\ncorrect that, then run dmsctl apply") from None
    for text in answer["warnings"]:
        warn(text)
    return True


def _reply(target: str) -> "Reply":
    """Return the head of the answer; NotInForce when there is none. A PID 1 that re-executes itself is asked again."""
    from dmsinit.control.client import Pending, Unreachable

    deadline = time.monotonic() + SUCCESSOR_SECONDS
    while True:
        try:
            pending = Pending("POST", target)
            deadline = time.monotonic() + SUCCESSOR_SECONDS
            if not pending.answered_within(_NOTICE_SECONDS) and sys.stderr and sys.stderr.isatty():
                sys.stderr.write("waiting until the server has applied the change (Ctrl-C: do not wait)\n")
            return pending.reply()
        except Unreachable as error:
            if isinstance(error.__cause__, PermissionError) or time.monotonic() > deadline:
                raise NotInForce(f"{_WRITTEN}, but it is unknown whether it is in force: {error}") from None
            time.sleep(_PAUSE_SECONDS)
