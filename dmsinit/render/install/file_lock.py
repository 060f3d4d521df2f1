"""One apply at a time among the containers that share a config volume: the lock that they know from each other."""

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from dmsinit.render.paths import VOLUME, Root
from dmsinit.render.reporter import Reporter
from dmsinit.render_protocol import Note
from dmsinit.volume.errors import EditError
from dmsinit.volume.lock import lock_file

LOCK: Final = "check-for-changes.sh.lock"
"""The contract's name."""


@contextmanager
def alone(root: Root, report: Reporter) -> Iterator[None]:
    """Hold the lock; go on without one where the volume is read-only: then nobody shares it for writing.

    Whom we wait for is reported. TERM ends the process in order, so that no lock is left behind for a minute.
    """

    def tell(text: str) -> None:
        report.say(Note(text=text))

    def trace(text: str) -> None:
        report.say(Note(text=text, level="debug"))

    previous = signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        with ExitStack() as stack:
            with suppress(EditError):
                stack.enter_context(lock_file(Path(root(VOLUME)), LOCK, tell, trace=trace))
            yield
    finally:
        signal.signal(signal.SIGTERM, previous)
