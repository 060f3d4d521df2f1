"""What a run says to people: log lines, or text for who checks; and what it need not say again."""

import sys
from collections.abc import Callable, Iterable
from typing import Final

from dmsinit.base.atomic import make_directories, replace_file
from dmsinit.log import Log
from dmsinit.problem import Problem
from dmsinit.render.mode import Mode
from dmsinit.render.paths import WORK, Root
from dmsinit.settings import Severe

TOLD: Final = f"{WORK}/told"
"""The warnings of the last run, one a line."""

_WHILE_ALL_RUNS: Final = (Mode.APPLY, Mode.DETECT)
_FOR_PEOPLE: Final = (Mode.CHECK, Mode.SETTINGS)
_PREVIEWS: Final = (Mode.PLAN, Mode.DIFF)


class Feedback:
    """Writes each warning once: an apply does not log again what the last run has logged.

    `warned` is called with every warning while all runs, and whether it is new: whoever asked for an apply shows them.
    """

    def __init__(self, log: Log, root: Root, mode: Mode, warned: Callable[[str, bool], None]) -> None:
        self._log = log
        self._root = root
        self._mode = mode
        self._warned = warned
        self._told: dict[str, None] = {}
        known = (root.read(TOLD) or b"").decode("utf-8", "replace") if mode in _WHILE_ALL_RUNS else ""
        self._known = frozenset(known.splitlines())
        self._spoke = False

    def warn(self, warnings: Iterable[Problem]) -> None:
        """Tell warnings, each once; severe ones as errors."""
        self._spoke = True
        for warning in warnings:
            text = str(warning)
            if text in self._told:
                continue
            self._told[text] = None
            if self._mode in _FOR_PEOPLE:
                sys.stdout.write(f"warning: {text}\n")
                continue
            new = text not in self._known
            if self._mode in _WHILE_ALL_RUNS:
                self._warned(text, new)
            if self._mode not in _PREVIEWS and new:
                (self._log.error if isinstance(warning, Severe) else self._log.warn)(text)

    def keep(self) -> None:
        """Let everything that the last run told hold: this run does not look at it again."""
        self._told |= dict.fromkeys(self._known)

    def note(self, notes: Iterable[str]) -> None:
        """Tell what is good to know, at a start."""
        for text in notes:
            if self._mode is Mode.BOOT:
                self._log.info(text)

    def refuse(self, problems: Iterable[Problem]) -> None:
        """Tell why the configuration cannot be used."""
        for problem in problems:
            if self._mode in _FOR_PEOPLE:
                sys.stdout.write(f"error: {problem}\n")
            else:
                self._log.error(str(problem))

    def remember(self) -> None:
        """Keep what was told for the next run."""
        if self._mode not in (Mode.BOOT, *_WHILE_ALL_RUNS) or not self._spoke or frozenset(self._told) == self._known:
            return
        try:
            make_directories(self._root(WORK))
            replace_file(
                self._root(TOLD), "".join(f"{text}\n" for text in self._told).encode(), mode=0o600, durable=False
            )
        except OSError:
            return  # then the next run tells them again
