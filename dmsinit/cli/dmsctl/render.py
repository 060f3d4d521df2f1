"""`dmsctl render --check`."""

import argparse
import os

from dmsinit.cli.dmsctl.command import Arguments, refuse


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the only mode."""
    parser.add_argument("--check", action="store_true", required=True, help="change nothing (the only mode)")


def run(_arguments: Arguments) -> int:
    """Become `dmsinit render --check`."""
    try:
        os.execvp("dmsinit", ["dmsinit", "render", "--check"])  # noqa: S606 -- no shell is what we want
    except OSError as error:
        return refuse(f"cannot run dmsinit: {error.strerror}; run this in the image")
