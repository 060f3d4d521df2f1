"""A service that is ill starts at once when what makes it ill is changed, and not some time later."""

import asyncio
from pathlib import Path

import pytest

from dmsinit.plan import Change, Plan, Probe, Readiness, Restart, Service
from dmsinit.supervisor import Reason, State
from tests.support.bench import Bench, shell

LONG = Restart(delay_seconds=600, max_delay_seconds=600)
GIVE_UP = Restart(give_up_after=1, give_up_within_seconds=600, max_delay_seconds=0.01)


def ill(directory: Path, name: str = "daemon", **more: object) -> Service:
    """Return a service that ends until a file is there."""
    return shell(name, f"test -e {directory}/cure && exec sleep 1000; exit 3", **more)


async def begin(bench: Bench, *services: Service, change: str = "", asked: bool = False) -> list[tuple[str, str]]:
    plan = Plan(fqdn="mail.example.test", services=services)
    changes = [Change(path="/etc/file", action="modify", service=change)] if change else []
    converging = await bench.supervisor.begin(plan, changes, Reason.CONFIG_CHANGED, asked=asked)
    return [(action.service, action.action) for action in converging.actions]


async def test_one_whose_cause_is_no_file_of_it(bench: Bench, tmp_path: Path) -> None:
    daemon, other = ill(tmp_path, restart=LONG), shell("other", "exec sleep 1000", on_change="restart")
    await bench.run(daemon, other)
    await bench.until("daemon", State.BACKOFF)
    (tmp_path / "cure").touch()
    assert await begin(bench, daemon, other, change="other") == [("other", "restart"), ("daemon", "start")]
    await bench.until("daemon", State.READY)


async def test_one_that_is_left_alone_when_nothing_changes(bench: Bench, tmp_path: Path) -> None:
    daemon = ill(tmp_path, restart=LONG)
    await bench.run(daemon)
    await bench.until("daemon", State.BACKOFF)
    assert await begin(bench, daemon) == []
    assert await begin(bench, daemon, asked=True) == [("daemon", "start")]


@pytest.mark.parametrize("asked", [False, True])
async def test_one_that_was_given_up(bench: Bench, tmp_path: Path, asked: bool) -> None:
    daemon, other = ill(tmp_path, restart=GIVE_UP), shell("other", "exec sleep 1000", on_change="restart")
    await bench.run(daemon, other)
    await bench.until("daemon", State.FAILED)
    (tmp_path / "cure").touch()
    expected = [("other", "restart"), *([("daemon", "start")] if asked else [])]
    assert await begin(bench, daemon, other, change="other", asked=asked) == expected
    if asked:
        await bench.until("daemon", State.READY)


async def test_one_that_was_given_up_for_what_it_waits_for(bench: Bench, tmp_path: Path) -> None:
    other = shell("other", "exec sleep 1000", on_change="restart")
    daemon = ill(tmp_path, restart=GIVE_UP, after=("other",))
    await bench.run(daemon, other)
    await bench.until("daemon", State.FAILED)
    (tmp_path / "cure").touch()
    assert ("daemon", "start") in await begin(bench, daemon, other, change="other")
    await bench.until("daemon", State.READY)


def impossible(kind: str) -> Service:
    """Return a service whose probe of kind `file` never holds."""
    probe = Probe(kind=kind, address="/nonexistent")  # type: ignore[arg-type]  # a literal
    return shell("daemon", "exec sleep 1000", ready=Readiness(probe=probe, timeout_seconds=1), restart=LONG)


async def test_a_probe_that_was_wrong(bench: Bench) -> None:
    await bench.run(impossible("file"))
    await bench.until("daemon", State.BACKOFF)
    assert await begin(bench, impossible("process")) == [("daemon", "start")]
    await bench.until("daemon", State.READY)


async def test_a_probe_that_is_corrected_while_it_is_asked(bench: Bench) -> None:
    await bench.run(impossible("file"))
    await bench.until("daemon", State.STARTING)
    pid = bench.pid("daemon")
    await begin(bench, impossible("process"))
    await bench.until("daemon", State.READY)
    assert bench.pid("daemon") == pid


async def test_one_that_somebody_stopped_stays_so(bench: Bench, tmp_path: Path) -> None:
    daemon = ill(tmp_path, restart=LONG)
    await bench.run(daemon)
    await bench.until("daemon", State.BACKOFF)
    await bench.supervisor.operate("daemon", "stop", wait=True)
    assert await begin(bench, daemon, asked=True) == []
    await asyncio.sleep(0)
    assert bench.supervisor.unit("daemon").state is State.STOPPED
