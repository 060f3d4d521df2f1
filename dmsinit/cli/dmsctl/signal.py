"""`dmsctl signal NAME SIGNAL`."""

import argparse

from dmsinit.cli.dmsctl.command import Arguments, print_json
from dmsinit.cli.errors import DONE, checked
from dmsinit.control.client import quote, request


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the service and the signal."""
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("signal", metavar="SIGNAL", help="such as HUP or USR1")


def run(arguments: Arguments) -> int:
    """Send it."""
    target = f"/v1/services/{quote(arguments.name)}/signal?signal={quote(arguments.signal)}"
    one = checked(request("POST", target)).json()
    print_json(one) if arguments.json else print(f"{one['name']}: signalled")
    return DONE
