"""`dmsctl plan`."""

import argparse

from dmsinit.cli.dmsctl import views
from dmsinit.cli.dmsctl.command import Arguments, get, print_json
from dmsinit.cli.errors import DONE


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is shown."""
    parser.add_argument("--diff", action="store_true", help="show the lines that differ")
    parser.add_argument("--current", action="store_true", help="print the plan in force, as JSON")


def run(arguments: Arguments) -> int:
    """Print what an apply would change."""
    if arguments.current:
        print_json(get("/v1/plan/current"))
        return DONE
    changes = get("/v1/plan?diff=true" if arguments.diff else "/v1/plan")
    print_json(changes) if arguments.json else print(views.changes(changes) or "nothing would change")
    return DONE
