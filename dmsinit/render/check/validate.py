"""The daemons' own checkers on the staged tree, and their complaints in terms of the user's files.

postconf(1) reads main.cf and master.cf, and Postfix' daemons try them (`check.postfix`); postalias(1) makes the alias
database, doveconf(1) reads everything of Dovecot's, and rspamadm(1) everything of Rspamd's where a user has changed
something. perl(1), fetchmail(1), sievec(1) and spamassassin(1) read a user's own file.
"""

import os

from dmsinit.render.check import opendkim, postfix
from dmsinit.render.check.checkers import CHECKERS
from dmsinit.render.check.places import ALIASES, MAIN_CF
from dmsinit.render.check.verdict import Verdict
from dmsinit.render.paths import Root
from dmsinit.render.programs import Job
from dmsinit.render.stage import Stage
from dmsinit.settings import Severe


class Checks:
    """All checkers, started at once on the tree staged in `directory`."""

    def __init__(self, stage: Stage, directory: str, root: Root, *, changes_only: bool = False) -> None:
        """`changes_only`: what takes long is asked about what is not in force only."""
        self.stage, self._directory, self._root, self._changes_only = stage, directory, root, changes_only
        self._jobs = [
            (c, Job(c.command(directory))) for c in CHECKERS if c.concerns(stage, root, changes_only=changes_only)
        ]

    def verdict(self) -> Verdict:
        """Wait for all of them, and return what they said."""
        verdict = Verdict()
        self._read(verdict, first=True)
        if MAIN_CF in self.stage.files and not verdict.problems:  # else all daemons would say the same
            found = postfix.staged(self.stage, self._directory, self._root, changes_only=self._changes_only)
            verdict.problems += found.problems
            verdict.warnings += found.warnings
            verdict.missing += found.missing
        self._read(verdict, first=False)
        self._read_tables(verdict)
        return verdict

    def _read_tables(self, verdict: Verdict) -> None:
        files, root = self.stage.files, self._root
        tables = [path for path in files if path.startswith(f"{opendkim.DIRECTORY}/")]
        if self._changes_only and all(root.read(path) == files[path].content for path in tables):
            return
        for problem in opendkim.findings(lambda path: read_staged(path, self.stage, root), self.stage.where):
            (verdict.tables if isinstance(problem, Severe) else verdict.warnings).append(problem)

    def _read(self, verdict: Verdict, *, first: bool) -> None:
        for checker, job in self._jobs:
            if (checker.needs in (MAIN_CF, ALIASES)) is first:
                checker.read(job.wait(), self.stage, self._directory, verdict)


def read_staged(path: str, stage: Stage, root: Root) -> bytes | None:
    """Return the bytes of a file as it is staged, or installed where it is not."""
    return stage.files[path].content if path in stage.files else root.read(path)


def alias_database(directory: str) -> bytes | None:
    """Return the alias database that checking made in `directory`, and remove it there; None when there is none."""
    path = f"{directory}{ALIASES}.db"
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return None
    os.unlink(path)
    return content
