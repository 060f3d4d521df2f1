"""Exit codes of the commands, and how an answer that is an error reaches a person."""

import os
import sys
from typing import Any, Final

from dmsinit.control.client import Reply

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NO_SUCH_SERVICE: Final = 3
UNREACHABLE: Final = 4


class ProblemReceived(Exception):
    """dmsinit answered with a problem (RFC 9457): `document` is the whole of it."""

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__(str(document.get("detail", "")))
        self.document = document
        self.kind = str(document.get("type", "")).rpartition(":")[2]

    @property
    def exit_code(self) -> int:
        return NO_SUCH_SERVICE if self.kind == "no-such-service" else FAILED


def checked(reply: Reply) -> Reply:
    """Return the reply if it is no error, else raise ProblemReceived."""
    if reply.status < 400:
        return reply
    if reply.headers.get("content-type", "").endswith("problem+json"):
        raise ProblemReceived(reply.json())
    raise ProblemReceived({"detail": reply.body().decode("utf-8", "replace").strip(), "status": reply.status})


def tell(program: str, problem: ProblemReceived) -> None:
    """Write a problem on standard error, with the log excerpt that it carries."""
    print(f"{program}: {problem}", file=sys.stderr)
    log = problem.document.get("log") or []
    if log:
        print(f"  the last {len(log)} lines of its log:", file=sys.stderr)
    for line in log:
        print(f"  | {line}", file=sys.stderr)


def silence() -> None:
    """Send what is still to be written to nowhere, so that the interpreter ends without a second complaint."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
