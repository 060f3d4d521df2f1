"""`dmsctl doctor`."""

import argparse

from dmsinit import doctor
from dmsinit.cli.dmsctl.command import Arguments, print_json
from dmsinit.cli.errors import DONE, FAILED


def arguments(_parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(arguments: Arguments) -> int:
    """Examine everything, and print the findings."""
    findings = doctor.examine()
    print_json(doctor.as_json(findings)) if arguments.json else print(doctor.report(findings))
    return FAILED if any(finding.level == "fail" for finding in findings) else DONE
