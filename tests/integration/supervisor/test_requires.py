"""Hard dependencies at run time: down together, up together, and a crash that is got over touches nobody else."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from dmsinit.plan import Plan, Probe, Readiness, Restart, Service
from dmsinit.supervisor import OperationFailed, Reason, State
from tests.support.bench import Bench

SOON = Restart(max_delay_seconds=0.01, give_up_after=2, give_up_within_seconds=60)


def sleeper(name: str, **more: object) -> Service:
    return Service(name=name, command=("sleep", "1000"), **more)  # type: ignore[arg-type]  # keywords of Service


def fragile(flag: Path, **more: object) -> Service:
    """A service that runs while a file is there, and gives up soon."""
    command = ("sh", "-c", f"test -e {flag} || exit 3; exec sleep 1000")
    ready = Readiness(probe=Probe(kind="command", command=("test", "-e", str(flag))))
    return Service(name="base", command=command, restart=SOON, ready=ready, **more)  # type: ignore[arg-type]  # keywords


CHAIN = (sleeper("middle", requires=("base",)), sleeper("top", requires=("middle",)), sleeper("other", wants=("base",)))


async def test_what_was_given_up_takes_its_dependents_along(bench: Bench, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    await bench.run(fragile(flag), *CHAIN)
    await bench.supervisor.whole.until_settled()
    other = bench.pid("other")
    flag.unlink()
    os.kill(bench.pid("base"), signal.SIGKILL)
    await bench.until("base", State.FAILED)
    await bench.until("middle", State.STOPPED)
    await bench.until("top", State.STOPPED)
    await bench.until("middle", State.STOPPED)
    assert [e.service for e in bench.supervisor.runtime.events.recent if e.to_state == State.STOPPED] == [
        "top",
        "middle",
    ]
    middle = bench.supervisor.status("middle")
    assert (middle.reason, middle.detail) == (Reason.DEPENDENCY, "requires base")
    assert bench.pid("other") == other
    flag.touch()
    await bench.supervisor.operate("base", "start", wait=True)
    await bench.until("top", State.READY)
    assert ("waiting", "dependency") in bench.history("middle")
    assert bench.pid("other") == other


async def test_a_stop_and_a_start_by_an_operator(bench: Bench) -> None:
    await bench.run(sleeper("base"), *CHAIN)
    await bench.supervisor.whole.until_settled()
    await bench.supervisor.operate("base", "stop", wait=True)
    assert {name: str(unit.state) for name, unit in bench.supervisor.units.items()} == {
        "base": "stopped", "middle": "stopped", "top": "stopped", "other": "ready",
    }  # fmt: skip
    stops = [e.service for e in bench.supervisor.runtime.events.recent if e.to_state == State.STOPPED]
    assert stops == ["top", "middle", "base"]
    await bench.supervisor.operate("base", "start", wait=True)
    await bench.until("top", State.READY)


async def test_no_wait_keeps_the_order_too(bench: Bench) -> None:
    await bench.run(sleeper("base"), *CHAIN)
    await bench.supervisor.whole.until_settled()
    await bench.supervisor.operate("base", "stop", wait=False)
    await bench.until("base", State.STOPPED)
    stops = [e.service for e in bench.supervisor.runtime.events.recent if e.to_state == State.STOPPED]
    assert stops == ["top", "middle", "base"]


async def test_what_an_operator_stopped_stays_down(bench: Bench) -> None:
    await bench.run(sleeper("base"), *CHAIN)
    await bench.supervisor.whole.until_settled()
    await bench.supervisor.operate("top", "stop", wait=True)
    await bench.supervisor.operate("base", "stop", wait=True)
    await bench.supervisor.operate("middle", "stop", wait=True)  # was stopped for base, and shall now stay so
    assert bench.supervisor.status("middle").reason == Reason.OPERATOR
    await bench.supervisor.operate("base", "start", wait=True)
    await bench.supervisor.operate("other", "restart", wait=True)
    assert bench.supervisor.unit("middle").state is State.STOPPED
    assert bench.supervisor.unit("top").state is State.STOPPED


async def test_a_restart_touches_no_dependent(bench: Bench) -> None:
    await bench.run(sleeper("base"), *CHAIN)
    await bench.supervisor.whole.until_settled()
    pids = {name: bench.pid(name) for name in ("middle", "top")}
    await bench.supervisor.operate("base", "restart", wait=True)
    assert {name: bench.pid(name) for name in pids} == pids


async def test_nobody_waits_for_ever_for_what_cannot_come(bench: Bench, tmp_path: Path) -> None:
    """Not an operation, not an apply, and no soft follower at boot."""
    await bench.run(fragile(tmp_path / "flag"), *CHAIN, sleeper("follower", after=("top",)))
    async with asyncio.timeout(100):
        await bench.until("follower", State.READY)
        with pytest.raises(OperationFailed, match=r"it requires middle, which requires base, which"):
            await bench.supervisor.operate("top", "start", wait=True)
        changed = Service(name="middle", command=("sleep", "1001"), requires=("base",))
        plan = Plan(fqdn="x.test", services=(fragile(tmp_path / "flag", description="x"), changed, *CHAIN[1:]))
        await bench.supervisor.converge(plan, [], Reason.CONFIG_CHANGED)
    assert bench.supervisor.unit("middle").state is State.WAITING


async def test_a_plan_without_the_requirement_sets_free(bench: Bench, tmp_path: Path) -> None:
    await bench.run(fragile(tmp_path / "flag"), *CHAIN)
    await bench.until("base", State.FAILED)
    free = (fragile(tmp_path / "flag"), sleeper("middle"), *CHAIN[1:])
    async with asyncio.timeout(100):
        await bench.supervisor.converge(Plan(fqdn="x.test", services=free), [], Reason.CONFIG_CHANGED)
        await bench.until("top", State.READY)


async def test_a_mended_definition_is_tried_again(bench: Bench) -> None:
    """What was given up is not what somebody stopped: the next plan that changes it starts it."""
    broken = Service(name="daemon", command=("false",), restart=SOON)
    await bench.run(broken)
    await bench.until("daemon", State.FAILED)
    await bench.supervisor.converge(Plan(fqdn="x.test", services=(sleeper("daemon"),)), [], Reason.CONFIG_CHANGED)
    assert bench.supervisor.unit("daemon").state is State.READY


async def test_a_removed_service_leaves_nothing_open(bench: Bench) -> None:
    await bench.run(sleeper("stays"))
    await bench.until("stays", State.READY)
    before = (len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks()))
    for _ in range(5):
        await bench.run(sleeper("stays"), Service(name="comes", command=("sh", "-c", "echo hello; exec sleep 1000")))
        await bench.until("comes", State.READY)
        await bench.run(sleeper("stays"))
    await asyncio.sleep(0)  # what was cancelled ends in the next turn
    await asyncio.sleep(0)
    assert (len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())) == before
