"""What a run says to people: log lines, or text for who checks; and what it need not say again."""

import os
import sys
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from dmsinit.log import Log
from dmsinit.problem import Problem
from dmsinit.render.atomic import replace_file
from dmsinit.render.paths import WORK, Root
from dmsinit.settings import Severe

TOLD: Final = f"{WORK}/told"
"""The warnings of the last run, one a line."""


class Audience(StrEnum):
    """Who listens: the log at a start, the log while all runs, who asks for a preview, who checks, who builds."""

    BOOT = "boot"
    APPLY = "apply"
    PLAN = "plan"
    CHECK = "check"
    COMPILE = "compile"


class Voice:
    """Tells warnings once: an apply is silent about what the last run has told already."""

    def __init__(self, log: Log, root: Root, audience: Audience) -> None:
        self._log = log
        self._root = root
        self._audience = audience
        self._told: dict[str, None] = {}
        known = (root.read(TOLD) or b"").decode("utf-8", "replace") if audience is Audience.APPLY else ""
        self._known = frozenset(known.splitlines())

    def warn(self, warnings: Iterable[Problem]) -> None:
        """Tell warnings, each once; severe ones as errors."""
        for warning in warnings:
            text = str(warning)
            if text in self._told:
                continue
            self._told[text] = None
            if self._audience is Audience.CHECK:
                sys.stdout.write(f"warning: {text}\n")
            elif self._audience is not Audience.PLAN and text not in self._known:
                (self._log.error if isinstance(warning, Severe) else self._log.warn)(text)

    def note(self, notes: Iterable[str]) -> None:
        """Tell what is good to know, at a start."""
        for text in notes:
            if self._audience is Audience.BOOT:
                self._log.info(text)

    def refuse(self, problems: Iterable[Problem]) -> None:
        """Tell why the configuration cannot be used."""
        for problem in problems:
            if self._audience is Audience.CHECK:
                sys.stdout.write(f"error: {problem}\n")
            else:
                self._log.error(str(problem))

    def remember(self) -> None:
        """Keep what was told for the next run."""
        if self._audience not in (Audience.BOOT, Audience.APPLY) or frozenset(self._told) == self._known:
            return
        try:
            os.makedirs(self._root(WORK), exist_ok=True)
            replace_file(
                self._root(TOLD), "".join(f"{text}\n" for text in self._told).encode(), mode=0o600, durable=False
            )
        except OSError:
            return  # then the next run tells them again
