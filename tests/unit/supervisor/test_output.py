"""Lines from pipes: bounded, in whole lines, with last words, and honest about what is lost."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsinit.base.logfile import LogFile
from dmsinit.supervisor import output as module
from dmsinit.supervisor.output import LINE_BYTES, RING_LINES, Output


@pytest.fixture
async def output(tmp_path: Path) -> AsyncIterator[Output]:
    made = Output(LogFile(str(tmp_path / "x.log")), "daemon")
    yield made
    made.close()


def write(output: Output, data: bytes) -> None:
    """Write what fits into a pipe, all at once, and close it."""
    pipe = output.open_pipe()
    assert os.write(pipe, data) == len(data)
    os.close(pipe)
    output.drain()


def writer(output: Output, *command: str) -> "subprocess.Popen[bytes]":
    """Start a program that writes into a pipe of the output."""
    pipe = output.open_pipe()
    try:
        return subprocess.Popen(command, stdout=pipe)
    finally:
        os.close(pipe)


async def turn() -> None:
    """Let the event loop do what is ready."""
    await asyncio.sleep(0.001)


async def test_last_words_without_an_end_of_line(output: Output, tmp_path: Path) -> None:
    output.begin_life()
    write(output, b"starting\nfatal: no memory")
    output.note("[dmsinit] daemon ended: exit code 1")
    assert output.last_words(20) == ["starting", "fatal: no memory", "[dmsinit] daemon ended: exit code 1"]
    assert (tmp_path / "x.log").read_text().splitlines() == output.last_words(20)


async def test_a_command_beside_the_service_does_not_take_its_last_words(output: Output) -> None:
    output.begin_life()
    write(output, b"from the service\n")
    write(output, b"from a reload command\n")
    assert output.last_words(20) == ["from the service", "from a reload command"]
    output.begin_life()
    assert output.last_words(20) == []


async def test_two_pipes_do_not_mix_within_a_line(output: Output) -> None:
    one, two = output.open_pipe(), output.open_pipe()
    for pipe, text in ((one, b"aaa"), (two, b"bbb"), (one, b"AAA\n"), (two, b"BBB\n")):
        os.write(pipe, text)
        for fd in tuple(output._partial):
            output._read(fd)
    os.close(one)
    os.close(two)
    assert output.tail(2) == ["aaaAAA", "bbbBBB"]


async def test_megabytes_without_an_end_of_line(output: Output) -> None:
    with writer(output, "head", "-c", "3000000", "/dev/zero"):
        async with asyncio.timeout(30):
            while output._partial:
                assert all(len(partial) <= LINE_BYTES for partial in output._partial.values())
                await turn()
    assert output.bytes_read == 3_000_000
    assert [len(line) for line in output.ring] == [LINE_BYTES]


@given(st.binary(max_size=20_000))
def test_any_bytes_at_all(data: bytes) -> None:
    async def go() -> None:
        output = Output(None)
        write(output, data)
        kept = [line[:LINE_BYTES] for line in data.split(b"\n")]
        if not kept[-1]:
            kept.pop()
        assert list(output.ring) == [one.decode("utf-8", "replace").rstrip("\r") for one in kept[-RING_LINES:]]
        assert not output._partial

    loop = asyncio.new_event_loop()
    loop.run_until_complete(go())
    loop.close()


async def test_a_slow_follower_is_told_what_it_missed(output: Output) -> None:
    lines = output.follow(0)
    first = asyncio.ensure_future(anext(lines))
    await asyncio.sleep(0)
    write(output, b"first\n")
    assert await first == "first"
    for start in range(0, 3000, 300):
        write(output, b"".join(b"%d\n" % number for number in range(start, start + 300)))
    told = [await anext(lines) for _ in range(1001)]
    assert told[0] == "[dmsinit] 2000 lines are left out here: they came faster than they were read"
    assert told[1:] == [str(number) for number in range(2000, 3000)]
    await lines.aclose()  # type: ignore[attr-defined]  # an async generator


async def test_a_flood_is_slowed_down_and_told_once(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than the burst takes at least the time that the rate says; nothing of it is lost."""
    monkeypatch.setattr(module, "_BURST_BYTES", 100_000)
    monkeypatch.setattr(module, "_BYTES_PER_SECOND", 1_048_576)
    output._allowance = 100_000.0
    output.begin_life()
    began = asyncio.get_running_loop().time()
    with writer(output, "seq", "1", "100000"):
        async with asyncio.timeout(30):
            while output._partial:
                await turn()
    assert output.bytes_read == 588_895
    assert asyncio.get_running_loop().time() - began > 0.3
    assert output.tail(1) == ["100000"]
    assert output._file is not None
    told = [line for line in Path(output._file.path).read_text().splitlines() if line.startswith("[dmsinit]")]
    assert told == ["[dmsinit] daemon writes more than 1 MiB a second here and is slowed down to it"]
    assert output._lines == 100_001


async def test_nothing_is_left_of_a_pause_when_it_is_closed(output: Output) -> None:
    output._allowance, output._counted_at = -1e9, asyncio.get_running_loop().time()
    pipe = output.open_pipe()
    os.write(pipe, b"x\n")
    async with asyncio.timeout(30):
        while not output._paused:
            await turn()
    output.close()
    assert not output._paused
    os.close(pipe)


# The file


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB of our own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_rotates(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "x.log"), limit_bytes=1000, kept=2)
    for number in range(100):
        file.write(b"%099d\n" % number)
    file.close()
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes == {"x.log": 1000, "x.log.1": 1000, "x.log.2": 1000}
    assert (tmp_path / "x.log").read_bytes().endswith(b"%099d\n" % 99)


def test_a_deleted_file_is_made_again(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "x.log"))
    file.write(b"one\n")
    (tmp_path / "x.log").unlink()
    file.write(b"two\n")
    file.close()
    assert (tmp_path / "x.log").read_bytes() == b"two\n"


def test_a_file_that_another_replaced_is_left_to_him(tmp_path: Path) -> None:
    """logrotate with `create`: renamed, and a new one in its place."""
    file = LogFile(str(tmp_path / "x.log"))
    file.write(b"one\n")
    (tmp_path / "x.log").rename(tmp_path / "x.log.1")
    (tmp_path / "x.log").touch()
    file.write(b"two\n")
    assert (tmp_path / "x.log.1").read_bytes() == b"one\n"
    assert (tmp_path / "x.log").read_bytes() == b"two\n"


def test_a_truncated_file_is_as_small_as_it_is(tmp_path: Path) -> None:
    """logrotate with `copytruncate`."""
    file = LogFile(str(tmp_path / "x.log"), limit_bytes=1000)
    for _ in range(5):
        file.write(b"x" * 900)
        os.truncate(tmp_path / "x.log", 0)
        file.write(b"y" * 90)
        os.truncate(tmp_path / "x.log", 0)
    assert [path.name for path in tmp_path.iterdir()] == ["x.log"]
    file.write(b"z")
    assert (tmp_path / "x.log").read_bytes() == b"z"


def test_a_link_is_rotated_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "mail").mkdir()
    (tmp_path / "x.log").symlink_to("mail/y.log")
    file = LogFile(str(tmp_path / "x.log"), limit_bytes=10, kept=2)
    for line in (b"first line\n", b"second line\n", b"third\n"):
        file.write(line)
    assert (tmp_path / "x.log").is_symlink()
    assert {path.name: path.read_bytes() for path in (tmp_path / "mail").iterdir()} == {
        "y.log": b"third\n", "y.log.1": b"second line\n", "y.log.2": b"first line\n",
    }  # fmt: skip


def test_a_link_of_somebody_elses_gets_no_line(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs").chmod(0o777)
    (tmp_path / "theirs" / "x.log").symlink_to(tmp_path / "target")
    (tmp_path / "target").write_bytes(b"")
    file = LogFile(str(tmp_path / "theirs" / "x.log"))
    file.write(b"one\n")
    assert file.bytes_lost == 4
    assert (tmp_path / "target").read_bytes() == b""


def test_a_full_disk_is_told_when_there_is_room_again(small_disk: Path) -> None:
    file = LogFile(str(small_disk / "x.log"))
    (small_disk / "ballast").write_bytes(b"x" * 40_000)
    for _ in range(10):
        file.write(b"z" * 9_999 + b"\n")
    (small_disk / "ballast").unlink()
    file.write(b"again\n")
    file.close()
    text = (small_disk / "x.log").read_text()
    lost = 100_000 - text.count("z") - text.count("\n") + 3
    assert text.endswith(f"\n[dmsinit] {lost} bytes are missing here: No space left on device\nagain\n")
    assert lost > 50_000


def test_no_directory_at_all(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "later/x.log"))
    file.write(b"lost\n")
    (tmp_path / "later").mkdir()
    file.write(b"kept\n")
    file.close()
    missing = "\n[dmsinit] 5 bytes are missing here: No such file or directory\nkept\n"
    assert (tmp_path / "later/x.log").read_text() == missing
