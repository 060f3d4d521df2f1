"""`dmsctl blame`."""

import argparse

from dmsinit.cli.dmsctl.command import Arguments, get, print_json
from dmsinit.cli.dmsctl.timeline import timeline
from dmsinit.cli.errors import DONE


def arguments(_parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(arguments: Arguments) -> int:
    """Print the boot as a picture."""
    blame = get("/v1/blame")
    print_json(blame) if arguments.json else print(timeline(blame))
    return DONE
