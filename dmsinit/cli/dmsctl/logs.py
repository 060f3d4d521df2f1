"""`dmsctl logs NAME`: what the service wrote itself, and its lines of mail.log."""

import argparse
import json

from dmsinit.cli.dmsctl import mail_log
from dmsinit.cli.dmsctl.command import Arguments
from dmsinit.cli.dmsctl.following import add_arguments, follow
from dmsinit.cli.errors import DONE, checked
from dmsinit.control.client import quote, request


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the service, and which lines."""
    parser.add_argument("name", metavar="NAME")
    add_arguments(parser)


def run(arguments: Arguments) -> int:
    """Print the lines."""
    target = f"/v1/services/{quote(arguments.name)}/logs?lines={arguments.lines}"
    plan = request("GET", "/v1/plan/current")  # which there is not during the boot
    services = plan.json()["services"] if plan.status == 200 else []
    programs = next((one.get("syslog", ()) for one in services if one["name"] == arguments.name), ())
    if not programs:
        return follow(target, arguments, lambda record: str(record["line"]))

    def show(line: str) -> None:
        print(json.dumps({"line": line}, ensure_ascii=False) if arguments.json else line, flush=arguments.follow)

    for record in checked(request("GET", target)).lines():
        show(record["line"])
    for line in mail_log.last_lines(programs, arguments.lines):
        show(line)
    if arguments.follow:
        mail_log.follow(f"/v1/services/{quote(arguments.name)}/logs?lines=0&follow=true", programs, show)
    return DONE
