"""`dmsctl health`."""

import argparse

from dmsinit.cli.dmsctl.command import Arguments, print_json
from dmsinit.cli.errors import DONE, FAILED
from dmsinit.control.client import request


def arguments(_parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(arguments: Arguments) -> int:
    """Print what is not ready, if anything."""
    reply = request("GET", "/readyz")
    reasons = reply.body().decode("utf-8", "replace").splitlines()
    if arguments.json:
        print_json({"ready": reply.status == 200, "reasons": reasons[1:]})
    elif reply.status != 200:
        print("; ".join(reasons))
    return DONE if reply.status == 200 else FAILED
