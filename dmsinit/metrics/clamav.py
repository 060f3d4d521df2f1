"""What only ClamAV itself can tell: how old the database is that it has loaded, and how many signatures it holds.

The database's age comes from clamd's answer to VERSION (clamd(8)): that of the database in memory, not of files on a
volume that may hang. It is asked in the background, at most once a minute, and only while somebody scrapes: a scrape
shows the last answer. The number of signatures is in the line that clamd writes when it has loaded them.
"""

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from dmsinit.metrics._prometheus import Metric
from dmsinit.metrics.families import gauge
from dmsinit.metrics.source import Scanner
from dmsinit.probes import CannotAsk, ProbeFailed, connect, read_line

_ASK_AGAIN_SECONDS: Final = 60.0
_ANSWER_SECONDS: Final = 5.0
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_BUILT: Final = re.compile(r"/\d+/\w{3} (\w{3}) +(\d+) (\d+):(\d+):(\d+) (\d+)$")
_LOADED: Final = re.compile(r"Loaded (\d+) signatures|reloaded \((\d+) signatures\)")


class Clamav:
    """The last answer of the scanner."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._built: float | None = None
        self._signatures: int | None = None
        self._ask_again = 0.0
        self._asking: asyncio.Task[None] | None = None

    def families(self, scanner: Scanner | None, memory_bytes: int) -> Sequence[Metric]:
        """Return what is known of the scanner, and ask it again if that is some time ago; without one, forget."""
        if scanner is None:
            self._built = self._signatures = None
        else:
            self._signatures = loaded(scanner.lines) or self._signatures
            if self._asking is None and self._clock() >= self._ask_again:
                self._asking = asyncio.ensure_future(self._ask(scanner.address))
        families = [gauge("dms_clamav_memory_bytes", "Memory (RSS) of ClamAV's daemon.", memory_bytes)]
        if self._built is not None:
            text = "Age of the virus database that ClamAV's daemon has loaded."
            families.append(gauge("dms_clamav_database_age_seconds", text, max(0.0, time.time() - self._built)))
        if self._signatures is not None:
            text = "Signatures that ClamAV's daemon has loaded."
            families.append(gauge("dms_clamav_signatures", text, self._signatures))
        return families

    async def _ask(self, address: str) -> None:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS), connect(address) as (reader, writer):
                writer.write(b"nVERSION\n")
                await writer.drain()
                self._built = built(await read_line(reader))
        except (CannotAsk, ProbeFailed, TimeoutError):
            self._built = None
        finally:
            self._ask_again = self._clock() + _ASK_AGAIN_SECONDS
            self._asking = None


def built(version: str) -> float | None:
    """Return when the database was made (Unix time), from `ClamAV 1.4.3/27800/Mon Jul 14 08:36:26 2025` (ctime(3)).

    None where no database of ClamAV's own is loaded: the answer is `ClamAV 1.4.3` then.
    """
    match = _BUILT.search(version)
    if match is None or match[1] not in _MONTHS:
        return None
    day, hour, minute, second, year = map(int, match.groups()[1:])
    return time.mktime((year, _MONTHS.index(match[1]) + 1, day, hour, minute, second, 0, 0, -1))


def loaded(lines: Iterable[str]) -> int | None:
    """Return how many signatures the last line that tells it tells."""
    found = [match for line in lines if (match := _LOADED.search(line))]
    return int(found[-1][1] or found[-1][2]) if found else None
