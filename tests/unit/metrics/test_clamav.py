"""What ClamAV tells, from a server that speaks its protocol on a real socket."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dmsinit.metrics.clamav import Clamav, Database, database
from dmsinit.metrics.source import Scanner


class Clamd:
    """A clamd that knows VERSION."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answer = b""
        self.asked = 0
        self.said = asyncio.Event()

    async def attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"nVERSION\n"
        self.asked += 1
        writer.write(self.answer)
        writer.close()
        self.said.set()


@pytest.fixture
async def clamd(tmp_path: Path) -> AsyncIterator[Clamd]:
    clamd = Clamd(tmp_path / "clamd.sock")
    async with await asyncio.start_unix_server(clamd.attend, clamd.path):
        yield clamd


def shown(clamav: Clamav, scanner: Scanner | None, memory_bytes: int = 0) -> dict[str, float]:
    return {sample.name: sample.value for one in clamav.families(scanner, memory_bytes) for sample in one.samples}


async def until_asked(clamav: Clamav, scanner: Scanner) -> dict[str, float]:
    """Show, let the question in the background come to its end, and show again."""
    shown(clamav, scanner)
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not asyncio.current_task()))
    return shown(clamav, scanner, 1_300_000_000)


def scanner(clamd: Clamd) -> Scanner:
    return Scanner("clamav", f"unix:{clamd.path}")


async def test_the_database_is_the_one_that_the_daemon_has_loaded(clamd: Clamd) -> None:
    made = time.time() - 7200
    clamd.answer = f"ClamAV 1.4.3/27800/{time.ctime(made)}\n".encode()
    found = await until_asked(Clamav(), scanner(clamd))
    assert found["dms_clamav_memory_bytes"] == 1_300_000_000
    assert found["dms_clamav_database_version"] == 27800
    assert 7200 <= found["dms_clamav_database_age_seconds"] < 7300


async def test_it_is_asked_once_a_minute_however_often_somebody_scrapes(clamd: Clamd) -> None:
    now = 100.0
    clamav = Clamav(lambda: now)
    clamd.answer = f"ClamAV 1.4.3/27800/{time.ctime()}\n".encode()
    for _ in range(3):
        await until_asked(clamav, scanner(clamd))
    assert clamd.asked == 1
    now += 61
    await until_asked(clamav, scanner(clamd))
    assert clamd.asked == 2


@pytest.mark.parametrize("answer", [b"ClamAV 1.4.3\n", b"", b"UNKNOWN COMMAND\n", b"x" * 5000])
async def test_no_database_of_known_age(clamd: Clamd, answer: bytes) -> None:
    clamd.answer = answer
    assert "dms_clamav_database_age_seconds" not in await until_asked(Clamav(), scanner(clamd))


async def test_a_daemon_that_is_gone_has_no_age_any_more(clamd: Clamd) -> None:
    now = 100.0
    clamav = Clamav(lambda: now)
    clamd.answer = f"ClamAV 1.4.3/27800/{time.ctime()}\n".encode()
    assert "dms_clamav_database_age_seconds" in await until_asked(clamav, scanner(clamd))
    clamd.path.unlink()
    now += 61
    assert "dms_clamav_database_age_seconds" not in await until_asked(clamav, scanner(clamd))


async def test_without_a_scanner_only_its_memory_is_shown_as_0() -> None:
    assert shown(Clamav(), None) == {"dms_clamav_memory_bytes": 0}


def test_the_date_is_that_of_ctime() -> None:
    made = time.mktime((2024, 7, 1, 8, 36, 26, 0, 0, -1))
    assert database("ClamAV 1.0.9/27321/Mon Jul  1 08:36:26 2024") == Database(27321, made)
    assert database("ClamAV 1.0.9/27321/Mon Foo  1 08:36:26 2024") is None
