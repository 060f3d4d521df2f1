"""`dmsctl reexec`."""

import argparse
import time
from typing import Any, Final

from dmsinit.cli.dmsctl.command import Arguments, print_json, refuse
from dmsinit.cli.errors import DONE, checked
from dmsinit.control.client import Unreachable, request

SUCCESSOR_SECONDS: Final = 10.0
"""A successor of PID 1 answers within a second; this long is waited for one on a busy machine."""


def arguments(_parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(arguments: Arguments) -> int:
    """Ask for it, and return when the successor answers."""
    before = checked(request("GET", "/v1/status")).json()["executions"]
    checked(request("POST", "/v1/reexec"))
    status = _successor(before)
    if status is None:
        return refuse(f"no answer within {SUCCESSOR_SECONDS:g} s; the container's log says why")
    if arguments.json:
        print_json(status)
    else:
        print(f"dmsinit {status['version']} has taken over; no service was stopped")
    return DONE


def _successor(before: int) -> Any:
    """Return the status that the next program of PID 1 gives, or None when it does not answer in time."""
    deadline = time.monotonic() + SUCCESSOR_SECONDS
    while time.monotonic() < deadline:
        try:
            status = checked(request("GET", "/v1/status")).json()
        except Unreachable:  # the socket is closed between the two programs
            status = {"executions": before}
        if status["executions"] > before:
            return status
        time.sleep(0.02)
    return None
