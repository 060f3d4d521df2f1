"""`dmsctl metrics`."""

import argparse
import sys

from dmsinit.cli.dmsctl.command import Arguments, print_json
from dmsinit.cli.errors import DONE, checked
from dmsinit.control.client import request


def arguments(_parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(arguments: Arguments) -> int:
    """Print them."""
    exposition = checked(request("GET", "/metrics")).body().decode()
    print_json({"text": exposition}) if arguments.json else sys.stdout.write(exposition)
    return DONE
