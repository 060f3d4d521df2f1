"""`dmsctl config [NAME …]`."""

import argparse
import sys

from dmsinit.cli.dmsctl import effective_settings
from dmsinit.cli.dmsctl.command import Arguments, print_json, refuse
from dmsinit.cli.errors import DONE


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add which settings."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these settings")
    parser.add_argument("--set", action="store_true", help="only what differs from the default")


def run(arguments: Arguments) -> int:
    """Print settings."""
    try:
        answer = effective_settings.read()
    except effective_settings.Failed as failed:
        return refuse(failed)
    answer["settings"] = effective_settings.chosen(answer["settings"], arguments.names, changed=arguments.set)
    if arguments.json:
        print_json(answer)
        return DONE
    print(effective_settings.table(answer["settings"]))
    for warning in answer["warnings"]:
        print(f"! {warning}", file=sys.stderr)
    return DONE
