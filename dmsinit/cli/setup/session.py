"""What a `setup` verb works with: places, a log, answers of the person at the terminal, the server's settings."""

import getpass
import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from dmsinit.base.control_characters import control_character
from dmsinit.base.literal import clean
from dmsinit.cli.setup.in_force import NotInForce, apply_now
from dmsinit.log import Log, from_environment


class Refused(Exception):
    """A verb cannot do what was asked; the message is for the person who asked."""


@dataclass
class Session:
    """One run of `setup`. Results go to standard output, everything else to `log` (standard error).

    `wait`: return when what was changed is in force in the server that runs here.
    """

    config: Path = Path("/tmp/docker-mailserver")  # noqa: S108  the compatibility contract's mount point
    mail: Path = Path("/var/mail")
    settings_file: Path = Path("/etc/dms-settings")
    log: Log = field(default_factory=lambda: from_environment("setup"))
    wait: bool = True

    @cached_property
    def _settings(self) -> dict[str, str]:
        try:
            text = self.settings_file.read_text()
        except OSError:
            return {}
        pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
        return {name: _unquote(value) for name, _, value in pairs}

    def setting(self, name: str, default: str) -> str:
        """Return a setting of the server that runs here, else of the environment."""
        return self._settings.get(name, clean(os.environ.get(name, default)).text)

    def ask(self, question: str) -> str:
        """Return one line that the person types; raises Refused at the end of input."""
        sys.stderr.write(question)
        sys.stderr.flush()
        line = sys.stdin.readline() if sys.stdin else ""  # None: it was closed
        if not line:
            sys.stderr.write("\n")
            raise Refused("no answer was given: standard input ended; give it as an argument, or use docker exec -it")
        return checked_text(line.rstrip("\n").removesuffix("\r"), "the answer")

    def ask_password(self, what: str) -> str:
        """Return a password that is typed twice and not shown, or read as two lines from a pipe."""
        ask: Callable[[str], str] = getpass.getpass if sys.stdin and sys.stdin.isatty() else self.ask
        try:
            password = ask(f"Enter {what}: ")
            if not password:
                raise Refused("the password must not be empty")
            if ask(f"Confirm {what}: ") != password:
                raise Refused("the two passwords differ; nothing was changed")
        except EOFError:
            raise Refused("no password was given; nothing was changed") from None
        except UnicodeDecodeError:
            raise Refused("the password is not UTF-8; set the terminal to UTF-8") from None
        return checked_text(password, "the password")

    def take_effect(self) -> bool:
        """Return when what was written is in force in the server that runs here; whether there is one to ask.

        Without one there is nothing to wait for, nor with `--no-wait`, nor for what the start itself waits for. Raises
        Refused with the reason when the server does not take it.
        """
        if not self.wait:
            return False
        try:
            return apply_now(self.log.warn)
        except NotInForce as error:
            raise Refused(str(error)) from None


def checked_text(text: str, what: str) -> str:
    """Return a text that came from a person; Refused when it holds a control character."""
    if name := control_character(text):
        raise Refused(f"{what} contains a control character ({name}); type it without")
    return text


def _unquote(value: str) -> str:
    try:
        return "".join(shlex.split(value))
    except ValueError:
        return value
