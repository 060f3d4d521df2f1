"""A verb of `setup`: its words, its manual page, and the function that does it."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

from dmsinit.cli.setup.session import Session

_BOLD, _PLAIN = "\x1b[1;34m", "\x1b[0m"


@dataclass(frozen=True)
class Verb:
    """`run` gets the arguments behind the words, at least `minimum` and at most `maximum` (None: any number).

    One that `edits` the config volume takes the option `--no-wait`.
    """

    words: tuple[str, ...]
    arguments: str
    summary: str
    run: Callable[[Session, list[str]], int]
    minimum: int = 0
    maximum: int | None = 0
    options: tuple[tuple[str, str], ...] = ()
    description: str = ""
    examples: tuple[str, ...] = ()
    has_help: bool = True
    edits: bool = False

    @property
    def name(self) -> str:
        return " ".join(self.words)

    def manual(self) -> str:
        """Return the manual page; its headings are coloured on a terminal."""
        wait = (("--no-wait", "return at once, not when the running server has applied it"),) if self.edits else ()
        sections = [
            ("NAME", [f"setup {self.name} - {self.summary}"]),
            ("USAGE", [f"setup {self.name} {self.arguments}".rstrip()]),
            ("OPTIONS", [f"{option:12} {text}" for option, text in (*self.options, *wait, ("help", "show this text"))]),
            ("DESCRIPTION", self.description.splitlines() or [self.summary[0].upper() + self.summary[1:] + "."]),
            ("EXAMPLES", list(self.examples)),
            ("EXIT STATUS", ["0 when it was done, 1 when it was not, 2 when there is no such command."]),
        ]
        bold, plain = (_BOLD, _PLAIN) if sys.stdout.isatty() else ("", "")
        return "\n".join(
            f"{bold}{title}{plain}\n" + "".join(f"    {line}\n" for line in lines) for title, lines in sections if lines
        )
