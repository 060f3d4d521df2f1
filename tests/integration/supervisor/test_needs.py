"""Services that start only when a file is there, and what is due when a service is back."""

import asyncio
from pathlib import Path

from dmsinit.base.inotify import add, open_instance
from dmsinit.pid1.file_changes import Watcher
from dmsinit.plan import Needs, Service
from dmsinit.supervisor import State
from tests.support.bench import Bench


def needy(directory: Path, *, on_recovery: tuple[str, ...] = ()) -> Service:
    needs = Needs(files=(f"{directory}/*.cvd", f"{directory}/main.c?d"), why="no signatures yet")
    return Service(name="scanner", command=("sleep", "60"), needs=needs, on_recovery=on_recovery)


async def appears(path: Path) -> None:
    """Return when a file is there and whoever wrote it has closed it."""
    instance = open_instance()
    assert instance is not None
    watcher = Watcher(instance, "/nowhere")
    watches, failure = add(instance, [str(path.parent)])
    watcher.adopt(watches, complete=not failure)
    try:
        async with asyncio.timeout(100):
            while not path.exists():
                await watcher.changed()
    finally:
        watcher.close()


async def test_waits_for_a_file_and_says_why(bench: Bench, tmp_path: Path) -> None:
    other = Service(name="server", command=("sleep", "60"), wants=("scanner",))
    await bench.run(needy(tmp_path), other)
    await bench.until("server", State.READY)
    status = bench.supervisor.status("scanner")
    assert (status.state, status.detail, status.waiting_for) == (State.WAITING, "no signatures yet", [])
    await asyncio.wait_for(bench.supervisor.whole.until_settled(), 100)
    assert [unit.name for unit in bench.supervisor.whole.missing()] == ["scanner"]

    (tmp_path / "unrelated").touch()
    (tmp_path / "main.cld").touch()
    await bench.until("scanner", State.READY)
    assert bench.supervisor.status("scanner").detail == ""
    assert bench.supervisor.whole.missing() == []


async def test_starts_at_once_when_the_file_is_there(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "a.cvd").touch()
    await bench.run(needy(tmp_path))
    await bench.until("scanner", State.READY)
    assert bench.history("scanner") == [("waiting", "boot"), ("starting", "boot"), ("ready", "boot")]


async def test_may_be_stopped_while_it_waits(bench: Bench, tmp_path: Path) -> None:
    await bench.run(needy(tmp_path))
    await bench.until("scanner", State.WAITING, and_=lambda: bench.supervisor.unit("scanner").lacks_files)
    await bench.supervisor.operate("scanner", "stop", wait=True)
    assert bench.supervisor.unit("scanner").state is State.STOPPED
    assert not bench.supervisor.unit("scanner").lacks_files


async def test_a_recovery_is_followed_by_its_command(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "a.cvd").touch()
    told = tmp_path / "told"
    await bench.run(needy(tmp_path, on_recovery=("sh", "-c", f"echo back > {told}.new; mv {told}.new {told}")))
    await bench.until("scanner", State.READY)
    assert not told.exists()
    await bench.supervisor.operate("scanner", "restart", wait=True)
    await appears(told)
    assert told.read_text() == "back\n"


async def test_a_late_first_start_is_a_recovery_too(bench: Bench, tmp_path: Path) -> None:
    told = tmp_path / "told"
    await bench.run(needy(tmp_path, on_recovery=("touch", str(told))))
    await bench.until("scanner", State.WAITING, and_=lambda: bench.supervisor.unit("scanner").lacks_files)
    (tmp_path / "a.cvd").touch()
    await bench.until("scanner", State.READY)
    await appears(told)
