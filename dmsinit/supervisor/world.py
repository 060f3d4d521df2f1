"""What a service's life needs from outside, so that one unit knows neither the others nor the supervisor."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dmsinit.log import Log
from dmsinit.supervisor.children import Children
from dmsinit.supervisor.events import Events
from dmsinit.supervisor.output import Output
from dmsinit.supervisor.pulse import Pulse


@dataclass
class World:
    """Shared by all units of one supervisor. `log_directory` None keeps output in memory only.

    `up` becomes true when everything else is ready, which is when `late` services start.
    """

    children: Children
    log: Log
    environment: Mapping[str, str]
    log_directory: Path | None = None
    runtime_directory: Path = Path("/run/dmsinit")
    events: Events = field(default_factory=Events)
    clock: Callable[[], float] = time.monotonic
    up: bool = False
    up_changed: Pulse = field(default_factory=Pulse)

    async def run(self, argv: Sequence[str], output: Output | None = None) -> int:
        """Run a short command to its end; return its exit code, or 128 + signal. Cancelling kills it."""
        pipe = output.open_pipe() if output is not None else None
        try:
            child = self.children.spawn(argv, env=self.environment, stdout=pipe, stderr=pipe)
        except OSError:
            return 127
        finally:
            if pipe is not None:
                os.close(pipe)
        try:
            result = await child.wait()
        finally:
            child.send_signal(9)
        return result.code if result.code is not None else 128 + (result.signal or 0)
