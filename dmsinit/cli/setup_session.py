"""What a `setup` verb works with: places, a log, answers of the person at the terminal, the server's settings."""

import getpass
import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from dmsinit.base.literal import clean
from dmsinit.log import Log, from_environment


class Refused(Exception):
    """A verb cannot do what was asked; the message is for the person who asked."""


@dataclass
class Session:
    """One run of `setup`. Results go to standard output, everything else to `log` (standard error)."""

    config: Path = Path("/tmp/docker-mailserver")  # noqa: S108  the compatibility contract's mount point
    mail: Path = Path("/var/mail")
    settings_file: Path = Path("/etc/dms-settings")
    log: Log = field(default_factory=lambda: from_environment("setup"))

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
        line = sys.stdin.readline()
        if not line:
            sys.stderr.write("\n")
            raise Refused("no answer was given: standard input ended; give it as an argument, or use docker exec -it")
        return line.rstrip("\n").removesuffix("\r")

    def ask_password(self, what: str) -> str:
        """Return a password that is typed twice and not shown, or read as two lines from a pipe."""
        ask: Callable[[str], str] = getpass.getpass if sys.stdin.isatty() else self.ask
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
        return password

    def take_effect(self) -> None:
        """Return when the server that runs here has taken what was written; where none runs, at once."""
        from dmsinit.cli._errors import ProblemReceived, checked  # most verbs leave that to the watcher
        from dmsinit.control.client import Unreachable, request

        try:
            checked(request("POST", "/v1/apply")).close()
        except Unreachable:
            return
        except ProblemReceived as problem:
            self.log.warn(f"it is written, but the running server has not taken it: {problem}")


def _unquote(value: str) -> str:
    try:
        return "".join(shlex.split(value))
    except ValueError:
        return value
