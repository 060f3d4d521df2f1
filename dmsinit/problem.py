"""A problem that a person has to solve: what is wrong, where, and what to do about it.

Every room that reads something of a user's (settings, config volume, services) reports problems in this one
form, and collects all of them before it gives up, so that a user corrects a configuration once.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    `where` is a variable name or `path:line`, `cause` says what is wrong there, `remedy` what to write instead.
    None of them may hold a secret. Bytes of a file that are no text (lone surrogates, which nothing can write)
    are shown as `?`.
    """

    where: str
    cause: str
    remedy: str = ""

    def __post_init__(self) -> None:
        for name in ("where", "cause", "remedy"):
            text: str = getattr(self, name)
            if not text.isascii():
                object.__setattr__(self, name, text.encode("utf-8", "replace").decode())

    def __str__(self) -> str:
        return f"{self.where}: {self.cause}" + (f"; {self.remedy}" if self.remedy else "")


class Severe(Problem):
    """A warning that is logged as an error: something does not work as configured, although everything else does."""


class ProblemsFound(Exception):
    """The input cannot be used: `problems` holds everything that is wrong with it (never empty)."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
