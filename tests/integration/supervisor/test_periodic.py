"""Services that run now and then."""

import asyncio
from pathlib import Path

import msgspec

from dmsinit.plan import Restart, Service
from dmsinit.supervisor import State
from tests.support.bench import Bench


def periodic(script: str, every: float) -> Service:
    never = Restart(policy="never")
    return Service(name="job", command=("sh", "-c", script), type="oneshot", every_seconds=every, restart=never)


async def test_runs_again_and_again(bench: Bench, tmp_path: Path) -> None:
    await bench.run(periodic(f"echo run >> {tmp_path}/runs", 0.05))
    unit = bench.supervisor.unit("job")
    await bench.until("job", State.EXITED, and_=lambda: unit.starts >= 3)
    assert len((tmp_path / "runs").read_text().splitlines()) == unit.starts
    assert unit.restarts == 0
    assert ("waiting", "schedule") in bench.history("job")


async def test_a_failed_run_waits_for_the_next(bench: Bench) -> None:
    await bench.run(periodic("exit 4", 0.05))
    unit = bench.supervisor.unit("job")
    await bench.until("job", State.EXITED, and_=lambda: unit.starts >= 2)
    assert unit.detail == "exit code 4"


async def test_runs_on_demand_and_can_be_stopped(bench: Bench, tmp_path: Path) -> None:
    await bench.run(periodic(f"echo run >> {tmp_path}/runs", 3600))
    await bench.until("job", State.EXITED)
    assert bench.supervisor.status("job").next_run is not None
    await bench.supervisor.operate("job", "start", wait=True)
    assert (tmp_path / "runs").read_text() == "run\nrun\n"
    await bench.supervisor.operate("job", "stop", wait=True)
    assert bench.supervisor.unit("job").state is State.STOPPED


async def test_nobody_waits_for_it(bench: Bench) -> None:
    """A long first run, such as a first download of signatures, does not hold up the server."""
    await bench.run(periodic("sleep 60", 3600))
    await asyncio.wait_for(bench.supervisor.whole.until_settled(), 100)
    assert bench.supervisor.whole.missing() == []


async def test_the_server_is_not_ill_while_it_fails(bench: Bench) -> None:
    """A mirror that cannot be reached is no reason to call the server unhealthy; a late service that is down is one."""
    job = msgspec.structs.replace(periodic("exit 1", 3600), late=True, restart=Restart(delay_seconds=60))
    await bench.run(job, Service(name="tail", command=("sleep", "60"), late=True))
    bench.supervisor.come_up()
    await bench.until("job", State.BACKOFF)
    await bench.until("tail", State.READY)
    assert bench.supervisor.whole.late_but_down() == []
    await bench.supervisor.operate("tail", "stop", wait=True)
    assert [unit.name for unit in bench.supervisor.whole.late_but_down()] == ["tail"]
