"""`dmsctl version`."""

import argparse

from dmsinit.cli.dmsctl.command import Arguments, get, print_json
from dmsinit.cli.errors import DONE


def arguments(_parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(arguments: Arguments) -> int:
    """Print it."""
    status = get("/v1/status")
    found = {"version": status["version"], "release": status["release"]}
    print_json(found) if arguments.json else print(f"dmsinit {found['version']} (release {found['release']})")
    return DONE
