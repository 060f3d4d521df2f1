"""`dmsctl status [NAME]`."""

import argparse

from dmsinit.cli.dmsctl import views
from dmsinit.cli.dmsctl.command import Arguments, get, print_json
from dmsinit.cli.errors import DONE
from dmsinit.control.client import quote


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the name of one service."""
    parser.add_argument("name", nargs="?")


def run(arguments: Arguments) -> int:
    """Print what runs."""
    if arguments.name:
        one = get(f"/v1/services/{quote(arguments.name)}")
        print_json(one) if arguments.json else print(views.description(one))
        return DONE
    status = get("/v1/status")
    print_json(status) if arguments.json else print(views.overview(status))
    return DONE
