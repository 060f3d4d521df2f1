"""Which ends of a service the log tells: one that fails again and again in the same way is told once.

Every end is an event, counts in the metrics, and is in the log of the service; `LOG_LEVEL=debug` shows all of them.
"""

import re
from typing import Final

from dmsinit.log import Log

_VARIES: Final = re.compile(r"\d+")
"""Times, process numbers and the like: what differs in them alone is the same trouble."""


class Telling:
    """What was told last of one service."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._told = ""

    def trouble(self, cause: str, last_words: str, sentence: str) -> None:
        """Warn, unless the last warning was about the same cause and last words, and it was not well since."""
        kind = f"{cause} {_VARIES.sub('', last_words)}"
        if kind == self._told:
            self._log.debug(sentence)
            return
        self._told = kind
        self._log.warn(sentence)

    def well(self) -> None:
        """Note that it was well for so long that a new failure is news."""
        self._told = ""
