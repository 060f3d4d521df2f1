"""Log files on a file system that may hang: a child writes them, which is suspended here in its place."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from dmsinit.base import logfile
from dmsinit.base.logfile import LogFile
from dmsinit.log import Log
from dmsinit.supervisor import logwriter
from dmsinit.supervisor.children import Children
from dmsinit.supervisor.logwriter import LogWriter
from tests.support.bench import become_subreaper

MANY = 1024 * 1024


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log("dmsinit", fd=os.open(tmp_path / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND))


@pytest.fixture(autouse=True)
def everything_may_hang(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(logfile, "hanging", lambda _path: str(tmp_path))


async def until(path: Path, text: str) -> None:
    """Wait until a file holds a text; the test's own time limit ends this."""
    while not path.exists() or text not in path.read_text():  # noqa: ASYNC110 - another process writes it
        await asyncio.sleep(0.01)


def child_of(writer: LogWriter) -> int:
    (mount,) = writer._mounts.values()
    assert mount._child is not None
    return mount._child.pid


async def test_what_hangs_is_kept_then_lost_and_said(tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    become_subreaper()
    children, said, path = Children(), tmp_path / "said", tmp_path / "x.log"
    children.open()
    writer = LogWriter(children, dict(os.environ), log)
    file = LogFile(str(path), writer)
    try:
        file.write(b"first\n")
        await until(path, "first\n")
        os.kill(child_of(writer), signal.SIGSTOP)
        monkeypatch.setattr(logwriter, "_SILENCE_SECONDS", 0.1)
        file.write(b"second\n")
        await until(said, "nothing was written for")
        for _ in range(10):
            file.write(b"x" * MANY)
        assert 5 * MANY < file.bytes_lost < 10 * MANY
        os.kill(child_of(writer), signal.SIGCONT)
        await until(said, f"written again; {file.bytes_lost} bytes are missing there")
        assert said.read_text().count("WARN") == 1
        file.write(b"last\n")
        await until(path, "last\n")
        text = path.read_text()
        assert text.startswith("first\nsecond\nxxx")
        assert f"[dmsinit] {file.bytes_lost} bytes are missing here: the file system did not answer\nlast\n" in text
    finally:
        await writer.close()
        children.close()


async def test_a_child_that_ended_is_replaced(tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logwriter, "_REPLACED_SECONDS", 0.1)
    become_subreaper()
    children, path = Children(), tmp_path / "x.log"
    children.open()
    writer = LogWriter(children, dict(os.environ), log)
    file = LogFile(str(path), writer)
    try:
        file.write(b"first\n")
        await until(path, "first\n")
        os.kill(child_of(writer), signal.SIGKILL)
        await until(tmp_path / "said", "the process that writes has ended")
        file.write(b"second\n")
        await until(path, "second\n")
    finally:
        await writer.close()
        children.close()


async def test_what_there_is_at_the_end_is_written(tmp_path: Path, log: Log) -> None:
    become_subreaper()
    children, path = Children(), tmp_path / "x.log"
    children.open()
    writer = LogWriter(children, dict(os.environ), log)
    LogFile(str(path), writer).write(b"x" * MANY)
    try:
        await writer.close()
        assert len(path.read_text()) == MANY
    finally:
        children.close()
