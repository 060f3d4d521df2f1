"""What the render process says to PID 1: see the package's docstring for the messages."""

import os
import sys
from collections.abc import Iterable, Mapping

import msgspec

from dmsinit.plan import Change, Plan
from dmsinit.problem import Problem

EX_OK = 0
EX_USAGE = 64
EX_SOFTWARE = 70
EX_TEMPFAIL = 75
EX_CONFIG = 78


class Reporter:
    """Writes messages to standard output, one JSON object a line."""

    def __init__(self, fd: int = 1) -> None:
        self._fd = fd

    def say(self, kind: str, **values: object) -> None:
        """Write one message."""
        data = msgspec.json.encode({"type": kind, **values}) + b"\n"
        while data:
            data = data[os.write(self._fd, data) :]

    def invalid(self, problems: Iterable[Problem], *, fqdn_missing: bool = False) -> None:
        """Report everything that is wrong with the input."""
        listed = [{"where": p.where, "cause": p.cause, "remedy": p.remedy} for p in problems]
        self.say("invalid", problems=listed, fqdn_missing=fqdn_missing)

    def plan(self, plan: Plan, changes: Iterable[Change], diffs: Mapping[str, str]) -> None:
        """Report the result; `diffs` by path, where somebody asked for them."""
        more = {"diffs": diffs} if diffs else {}
        self.say("plan", plan=plan, changes=list(changes), **more)

    def await_line(self) -> None:
        """Wait until PID 1 writes a line, or closes its end."""
        sys.stdin.readline()
