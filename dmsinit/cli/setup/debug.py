"""`setup debug …`: look into a running container."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from dmsinit.cli.setup.session import Refused, Session
from dmsinit.cli.setup.verb import Verb

MAIL_LOG = Path("/var/log/mail/mail.log")


def login(_: Session, arguments: list[str]) -> int:
    """Become a shell; it does not return."""
    sys.stdout.flush()
    os.execvp("bash", ["bash", "-c", " ".join(arguments)] if arguments else ["bash"])  # noqa: S606  a shell is what was asked for


def show_mail_logs(_: Session, __: list[str]) -> int:
    return show_file(MAIL_LOG)


def show_file(path: Path) -> int:
    """Copy a file to standard output."""
    try:
        with path.open("rb") as log:
            shutil.copyfileobj(log, sys.stdout.buffer)
    except FileNotFoundError:
        raise Refused(f"{path} does not exist; is a mail server running in this container?") from None
    sys.stdout.flush()
    return 0


def helper(name: str) -> Callable[[Session, list[str]], int]:
    """Return what becomes one of the helper executables in bin/."""

    def run(_: Session, __: list[str]) -> int:
        os.execvp(name, [name])  # noqa: S606  it needs no shell

    return run


VERBS = (
    Verb(
        ("debug", "login"),
        "[COMMAND]",
        "open a shell in the container, or run a command",
        login,
        maximum=None,
        has_help=False,
    ),
    Verb(("debug", "show-mail-logs"), "", "show the mail log", show_mail_logs, maximum=None, has_help=False),
    Verb(
        ("debug", "fetchmail"),
        "",
        "ask the servers of fetchmail.cf for mail and show what happens",
        helper("debug-fetchmail"),
        maximum=None,
        description="Brings /etc/fetchmailrc up to date first. Nothing is fetched.\nEnds with fetchmail's own status.",
    ),
    Verb(
        ("debug", "getmail"),
        "",
        "show the settings of getmail",
        helper("debug-getmail"),
        maximum=None,
        description="Brings /etc/getmailrc.d up to date first. Passwords are shown as *.",
    ),
)
