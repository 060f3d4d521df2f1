"""What `logs` and `events` share: the last lines, and then each new one."""

import argparse
import json
from collections.abc import Callable
from typing import Any

from dmsinit.cli.dmsctl.command import Arguments, count
from dmsinit.cli.errors import DONE, checked
from dmsinit.control.client import request


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how many lines, and whether to go on."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on until interrupted")
    parser.add_argument("-n", "--lines", type=count, default=100, metavar="N", help="begin N lines back (default 100)")


def follow(target: str, arguments: Arguments, show: Callable[[Any], str]) -> int:
    """Print the records of an NDJSON answer."""
    reply = checked(request("GET", target + ("&follow=true" if arguments.follow else "")))
    for record in reply.lines():
        print(json.dumps(record, ensure_ascii=False) if arguments.json else show(record), flush=arguments.follow)
    return DONE
