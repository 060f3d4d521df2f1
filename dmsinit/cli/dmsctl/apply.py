"""`dmsctl apply`."""

import argparse
import os
import sys
from collections.abc import Iterable

from dmsinit.cli.dmsctl import views
from dmsinit.cli.dmsctl.command import Arguments, print_json
from dmsinit.cli.errors import DONE, ProblemReceived, checked
from dmsinit.control.client import STARTING_VARIABLE, request


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add whether it is only tried."""
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")


def run(arguments: Arguments) -> int:
    """Apply, and print what was done; user-patches.sh, which the boot waits for, does not wait for the boot."""
    wait = "false" if STARTING_VARIABLE in os.environ else "true"
    dry_run = "true" if arguments.dry_run else "false"
    try:
        changes = checked(request("POST", f"/v1/apply?wait={wait}&dry_run={dry_run}")).json()
    except ProblemReceived as problem:
        if not arguments.json:
            _warn(problem.document.get("warnings", ()))
        raise
    if arguments.json:
        print_json(changes)
        return DONE
    print(views.changes(changes) or "nothing to do", flush=True)
    _warn(changes["warnings"])
    return DONE


def _warn(warnings: Iterable[str]) -> None:
    for text in warnings:
        print(f"warning: {text}", file=sys.stderr)
