"""What people ask of services, and a plan that changes under them."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from dmsinit.plan import Change, Health, Plan, Probe, Readiness, Reload, Restart, Service
from dmsinit.supervisor import NoSuchService, OperationFailed, Reason, State
from tests.support.bench import Bench, gone, shell


async def test_operations(bench: Bench) -> None:
    await bench.run(shell("daemon", "exec sleep 60"), shell("off", "exec sleep 60", enabled=False))
    await bench.until("daemon", State.READY)
    first = bench.pid("daemon")
    assert (await bench.supervisor.operate("daemon", "restart", wait=True)).state == "ready"
    assert bench.pid("daemon") != first
    stopped = await bench.supervisor.operate("daemon", "stop", wait=True)
    assert (stopped.state, stopped.reason, stopped.pid) == ("stopped", "operator", None)
    with pytest.raises(OperationFailed, match="cannot signal daemon: it is stopped"):
        bench.supervisor.signal("daemon", "HUP")
    assert (await bench.supervisor.operate("daemon", "start", wait=True)).state == "ready"
    assert (await bench.supervisor.operate("daemon", "start", wait=True)).restarts == 0
    with pytest.raises(OperationFailed, match="disabled by the configuration"):
        await bench.supervisor.operate("off", "start", wait=True)
    with pytest.raises(NoSuchService, match="did you mean daemon"):
        await bench.supervisor.operate("deamon", "start", wait=True)
    with pytest.raises(OperationFailed, match="FOO is not a signal"):
        bench.supervisor.signal("daemon", "FOO")


async def test_a_failed_start_tells_why_with_the_last_lines(bench: Bench) -> None:
    ready = Readiness(probe=Probe(kind="file", address="/nonexistent"))
    await bench.run(shell("daemon", "echo bad line 7 >&2; exit 1", ready=ready, restart=Restart(delay_seconds=60)))
    await bench.until("daemon", State.BACKOFF)
    with pytest.raises(OperationFailed, match="cannot restart daemon: exit code 1") as failure:
        await bench.supervisor.operate("daemon", "restart", wait=True)
    assert "bad line 7" in failure.value.log_lines


async def test_reload_by_signal(bench: Bench, tmp_path: Path) -> None:
    script = f"trap 'echo reloaded' HUP; touch {tmp_path}/flag; while :; do sleep 0.01; done"
    flag = Readiness(probe=Probe(kind="file", address=f"{tmp_path}/flag"))
    await bench.run(shell("daemon", script, reload=Reload(signal="HUP"), ready=flag), shell("plain", "exec sleep 60"))
    await bench.supervisor.whole.until_settled()
    pid = bench.pid("daemon")
    lines = bench.supervisor.unit("daemon").tree.output.follow(0)
    first = asyncio.ensure_future(anext(lines))
    await bench.supervisor.operate("daemon", "reload", wait=True)
    assert await asyncio.wait_for(first, 100) == "reloaded"
    assert bench.pid("daemon") == pid
    with pytest.raises(OperationFailed, match="has no way to reload"):
        await bench.supervisor.operate("plain", "reload", wait=True)


async def test_converging_touches_only_what_changed(bench: Bench) -> None:
    def plan(command: str, *more: Service) -> Plan:
        services = (shell("same", "exec sleep 60"), shell("changed", command), *more)
        return Plan(fqdn="mail.example.test", services=services)

    await bench.supervisor.converge(plan("exec sleep 60", shell("old", "exec sleep 60")), [], Reason.BOOT)
    await bench.supervisor.whole.until_settled()
    same, changed, old = bench.pid("same"), bench.pid("changed"), bench.pid("old")
    done = await bench.supervisor.converge(
        plan("exec sleep 61", shell("new", "exec sleep 60")), [], Reason.CONFIG_CHANGED
    )
    assert [(a.service, a.action) for a in done] == [("old", "stop"), ("changed", "restart"), ("new", "start")]
    await bench.until("new", State.READY)
    assert bench.pid("same") == same
    assert bench.pid("changed") != changed
    assert gone(old)
    assert "old" not in bench.supervisor.units
    assert (
        await bench.supervisor.converge(plan("exec sleep 61", shell("new", "exec sleep 60")), [], Reason.CONFIG_CHANGED)
        == []
    )


async def test_health_and_restarts_follow_the_plan_without_a_restart(bench: Bench, tmp_path: Path) -> None:
    def plan(**more: object) -> Plan:
        return Plan(fqdn="mail.example.test", services=(shell("daemon", "exec sleep 60", **more),))

    await bench.supervisor.converge(plan(), [], Reason.BOOT)
    await bench.until("daemon", State.READY)
    pid = bench.pid("daemon")
    flag = tmp_path / "flag"
    ask = Health(probe=Probe(kind="file", address=str(flag)), interval_seconds=0.01, failures=1_000_000)
    assert await bench.supervisor.converge(plan(health=ask), [], Reason.CONFIG_CHANGED) == []
    await bench.until("daemon", State.UNHEALTHY)
    await bench.supervisor.converge(plan(), [], Reason.CONFIG_CHANGED)
    await bench.until("daemon", State.READY)
    assert bench.pid("daemon") == pid
    never_again = Restart(give_up_after=0, policy="never")
    await bench.supervisor.converge(plan(restart=never_again), [], Reason.CONFIG_CHANGED)
    os.kill(pid, signal.SIGKILL)
    await bench.until("daemon", State.EXITED)


async def test_a_changed_file_reloads_its_service(bench: Bench, tmp_path: Path) -> None:
    daemon = shell(
        "daemon", "exec sleep 60", on_change="reload", reload=Reload(command=("touch", f"{tmp_path}/reloaded"))
    )
    plan = Plan(fqdn="mail.example.test", services=(daemon,))
    await bench.supervisor.converge(plan, [], Reason.BOOT)
    await bench.until("daemon", State.READY)
    change = Change(path="/etc/daemon.conf", action="modify", service="daemon")
    await bench.supervisor.converge(plan, [change], Reason.CONFIG_CHANGED)
    assert (tmp_path / "reloaded").exists()


async def test_starting_one_that_starts_already_waits_for_it(bench: Bench, tmp_path: Path) -> None:
    flag = Readiness(probe=Probe(kind="file", address=f"{tmp_path}/flag"))
    await bench.run(shell("slow", "exec sleep 60", ready=flag))
    await bench.until("slow", State.STARTING)
    asking = asyncio.create_task(bench.supervisor.operate("slow", "start", wait=True))
    await asyncio.sleep(0)
    (tmp_path / "flag").touch()
    assert (await asyncio.wait_for(asking, 100)).state == "ready"
    assert bench.supervisor.unit("slow").starts == 1
