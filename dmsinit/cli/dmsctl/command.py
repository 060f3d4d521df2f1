"""What every verb of dmsctl is made of, and how it asks and prints.

A verb is a module with `arguments(parser)` and `run(arguments)`, which prints and returns the exit code. `--json`
prints what the control API answered, unchanged.
"""

import argparse
import json
import sys
from typing import Any, Final, Protocol

from dmsinit.cli.errors import FAILED, checked
from dmsinit.control.client import request

PROGRAM: Final = "dmsctl"
Arguments = argparse.Namespace


class Verb(Protocol):
    """A module that is a verb."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments of this verb."""

    def run(self, arguments: Arguments) -> int:
        """Carry it out and return the exit code."""


def count(argument: str) -> int:
    """Return an argument that is a number of things. Raises ArgumentTypeError."""
    if not (argument.isascii() and argument.isdecimal()) or int(argument) > 100_000:
        raise argparse.ArgumentTypeError(f"{argument} is not a number from 0 to 100000")
    return int(argument)


def get(target: str) -> Any:
    """Return the JSON that the control API answers. Raises ProblemReceived and Unreachable."""
    return checked(request("GET", target)).json()


def print_json(value: object) -> None:
    """Print JSON: indented for a person at a terminal."""
    print(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def refuse(message: object, code: int = FAILED) -> int:
    """Print why a verb was not carried out, and return the exit code."""
    print(f"{PROGRAM}: {message}", file=sys.stderr)
    return code
