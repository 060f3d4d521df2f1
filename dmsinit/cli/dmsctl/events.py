"""`dmsctl events`."""

import argparse

from dmsinit.cli.dmsctl import views
from dmsinit.cli.dmsctl.command import Arguments
from dmsinit.cli.dmsctl.following import add_arguments, follow


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add which events."""
    add_arguments(parser)


def run(arguments: Arguments) -> int:
    """Print them."""
    return follow(f"/v1/events?limit={arguments.lines}", arguments, views.event)
