"""`[[check]]` of services/NAME.toml: a service's own checker, asked about what is staged, and what it says.

A complaint is a line of the program's output that a pattern finds. Its groups `file` and `line` lead to the user's
line, `cause` is what is wrong. A program that fails without such a line is quoted with its last one.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from dmsinit.problem import Problem
from dmsinit.render.programs import Job, Outcome
from dmsinit.render.stage import Stage


@dataclass(frozen=True)
class Check:
    """How the service `service` is asked about its files; the command ends with 0 when they are right."""

    service: str
    command: tuple[str, ...]
    complaint: re.Pattern[str] | None = None
    remedy: str = "correct it"


class Checks:
    """All of them, started at once on the tree staged in `directory`."""

    def __init__(self, checks: Iterable[Check], directory: str) -> None:
        self._directory = directory
        self._jobs = [(check, Job(check.command)) for check in checks]

    def problems(self, stage: Stage) -> list[Problem]:
        """Wait for all of them, and return what they found."""
        return [problem for check, job in self._jobs for problem in self._read(check, job.wait(), stage)]

    def _read(self, check: Check, outcome: Outcome, stage: Stage) -> list[Problem]:
        if outcome.code == 0:
            return []
        found = []
        if check.complaint is not None:
            for line in f"{outcome.stdout}\n{outcome.stderr}".splitlines():
                if match := check.complaint.search(line):
                    said = match.groupdict()
                    where = self._where(check, said.get("file") or "", int(said.get("line") or 0), stage)
                    found.append(Problem(where, (said.get("cause") or line).strip(), check.remedy))
        return found or [Problem(f"services/{check.service}.toml", self._plain(outcome.complaint), check.remedy)]

    def _where(self, check: Check, path: str, line: int, stage: Stage) -> str:
        """Return where a person finds a line of a staged file."""
        path = self._plain(path)
        if path in stage.files:
            return stage.files[path].source(line)
        return (f"{path}:{line}" if line else path) or f"services/{check.service}.toml"

    def _plain(self, text: str) -> str:
        """Return a text with the paths that files will have."""
        return text.replace(self._directory, "")
