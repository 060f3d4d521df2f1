"""What only ClamAV itself can tell: how old the database is that it has loaded, and which one.

Both come from clamd's answer to VERSION (clamd(8)): that of the database in memory, not of files on a volume that may
hang. It is asked in the background, at most once a minute, and only while somebody scrapes: a scrape shows the last
answer.
"""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from dmsinit.metrics._prometheus import Metric
from dmsinit.metrics.families import gauge
from dmsinit.metrics.source import Scanner
from dmsinit.probes import CannotAsk, ProbeFailed, connect, read_line

_ASK_AGAIN_SECONDS: Final = 60.0
_ANSWER_SECONDS: Final = 5.0
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATABASE: Final = re.compile(r"/(\d+)/\w{3} (\w{3}) +(\d+) (\d+):(\d+):(\d+) (\d+)$")


class Database(NamedTuple):
    """The database of ClamAV's own that a daemon has loaded; `made` is a Unix time."""

    version: int
    made: float


class Clamav:
    """The last answer of the scanner."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._database: Database | None = None
        self._ask_again = 0.0
        self._asking: asyncio.Task[None] | None = None

    def families(self, scanner: Scanner | None, memory_bytes: int) -> Sequence[Metric]:
        """Return what is known of the scanner, and ask it again if that is some time ago; without one, forget."""
        if scanner is None:
            self._database = None
        elif self._asking is None and self._clock() >= self._ask_again:
            self._asking = asyncio.ensure_future(self._ask(scanner.address))
        families = [gauge("dms_clamav_memory_bytes", "Memory (RSS) of ClamAV's daemon.", memory_bytes)]
        if self._database is not None:
            age = max(0.0, time.time() - self._database.made)
            text = "Age of the virus database that ClamAV's daemon has loaded."
            families.append(gauge("dms_clamav_database_age_seconds", text, age))
            text = "Version of the virus database that ClamAV's daemon has loaded."
            families.append(gauge("dms_clamav_database_version", text, self._database.version))
        return families

    async def _ask(self, address: str) -> None:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS), connect(address) as (reader, writer):
                writer.write(b"nVERSION\n")
                await writer.drain()
                self._database = database(await read_line(reader))
        except (CannotAsk, ProbeFailed, TimeoutError):
            self._database = None
        finally:
            self._ask_again = self._clock() + _ASK_AGAIN_SECONDS
            self._asking = None


def database(version: str) -> Database | None:
    """Return what an answer such as `ClamAV 1.4.3/27800/Mon Jul 14 08:36:26 2025` tells; the time is local (ctime(3)).

    None where no database of ClamAV's own is loaded: the answer is `ClamAV 1.4.3` then.
    """
    match = _DATABASE.search(version)
    if match is None or match[2] not in _MONTHS:
        return None
    day, hour, minute, second, year = map(int, match.groups()[2:])
    made = time.mktime((year, _MONTHS.index(match[2]) + 1, day, hour, minute, second, 0, 0, -1))
    return Database(int(match[1]), made)
