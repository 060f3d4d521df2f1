"""The last error that a service itself has logged, so that a reason says more than "no answer".

Services that log by syslog write into mail.log, which may be on a volume: a child looks there, within a second. For
others it is the last line of their output that begins like an error.
"""

import re
from typing import Final

import anyio

from dmsinit.plan import Service
from dmsinit.supervisor.errors import EXCERPT_LINES
from dmsinit.supervisor.output import Output
from dmsinit.supervisor.runtime import Runtime

PROGRAM: Final = "/usr/share/dmsinit/libexec/last-error"
_LONGEST_SECONDS: Final = 1.0
_LONGEST_CHARACTERS: Final = 300
_ERROR: Final = re.compile(r"(?:[\w.()/-]+: ){0,2}(?:fatal|panic|error|critical)\b", re.IGNORECASE)


async def last_error(service: Service, own: Output, since: str, runtime: Runtime) -> str:
    """Return the last error that a service has logged since an RFC 3339 time; nothing when there is none."""
    if service.syslog:
        found = Output(None)
        with anyio.move_on_after(_LONGEST_SECONDS):
            try:
                await runtime.run((PROGRAM, since, *service.syslog), found)
            except OSError:
                return ""  # nothing can be started at present
        found.drain()
        if lines := found.tail(1):
            return lines[0]
    errors = [line for line in own.last_words(EXCERPT_LINES) if _ERROR.match(line)]
    return errors[-1][:_LONGEST_CHARACTERS] if errors else ""
