"""Reloads: over when the service runs with its new files, never two at once, and none refused that a restart can do."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from dmsinit.base.dispositions import would_kill
from dmsinit.plan import Change, Plan, Probe, Readiness, Reload, Service, Stop
from dmsinit.supervisor import OperationFailed, Reason, State
from dmsinit.supervisor.proctree import children_of
from tests.support.bench import Bench

DAEMON = """
import os, signal, socket, sys, time
path, log, seconds = sys.argv[1:]
if "LISTENS" in os.environ:
    server = socket.socket(socket.AF_UNIX, fileno=int(os.environ["LISTENS"]))
    time.sleep(float(seconds))  # reads its configuration; a HUP kills it now
else:
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(50)
def again(*_):
    os.environ |= {"LISTENS": str(server.fileno()), "CHILDREN": str(child)}
    server.set_inheritable(True)
    os.execv(sys.executable, [sys.executable, "-I", "-S", *sys.orig_argv[3:]])
with open(log, "a") as file:
    file.write("configured\\n")
child = os.fork()
if child == 0:
    while True:
        client, _ = server.accept()
        client.send(b"220 hello\\r\\n")
        client.close()
for pid in map(int, os.environ.get("CHILDREN", "").split()):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
signal.signal(signal.SIGHUP, again)
while True:
    signal.pause()
"""
"""As Amavis does it: on HUP it executes itself anew, while its child answers with what it had until a new one does."""


def daemon(directory: Path, *, seconds: float = 0.4, **more: object) -> Service:
    socket, log = f"{directory}/socket", f"{directory}/configured"
    return Service(
        name="daemon",
        command=(sys.executable, "-I", "-S", "-c", DAEMON, socket, log, str(seconds)),
        ready=Readiness(probe=Probe(kind="smtp", address=f"unix:{socket}"), timeout_seconds=20),
        reload=Reload(signal="HUP", renews=("python*",)),
        on_change="reload",
        **more,  # type: ignore[arg-type]  # keywords of Service
    )


def times_configured(directory: Path) -> int:
    return (directory / "configured").read_text().count("configured")


async def changed(bench: Bench, service: Service) -> None:
    """Converge as after a change of a file of the service."""
    plan = Plan(fqdn="mail.example.test", services=(service,))
    await bench.supervisor.converge(
        plan, [Change(path="/etc/file", action="modify", service="daemon")], Reason.CONFIG_CHANGED
    )


async def test_a_reload_is_over_when_the_new_children_serve(bench: Bench, tmp_path: Path) -> None:
    await bench.run(daemon(tmp_path))
    await bench.until("daemon", State.READY)
    pid = bench.pid("daemon")
    for times in (2, 3, 4):  # each would be killed by the next if it were over too soon
        await bench.supervisor.operate("daemon", "reload", wait=True)
        assert times_configured(tmp_path) == times
    assert bench.pid("daemon") == pid
    assert list(bench.supervisor.unit("daemon").deaths) == []


async def test_who_comes_while_one_is_under_way_shares_the_next(bench: Bench, tmp_path: Path) -> None:
    await bench.run(daemon(tmp_path))
    await bench.until("daemon", State.READY)
    first = asyncio.create_task(bench.supervisor.operate("daemon", "reload", wait=True))
    await bench.until("daemon", State.RELOADING)
    await asyncio.gather(*(bench.supervisor.operate("daemon", "reload", wait=True) for _ in range(5)))
    assert first.done()
    assert times_configured(tmp_path) == 3
    assert [state for state, _ in bench.history("daemon")].count("reloading") == 2


async def test_a_signal_waits_for_a_process_that_expects_it(bench: Bench, tmp_path: Path) -> None:
    await bench.run(daemon(tmp_path))
    await bench.until("daemon", State.READY)
    while would_kill(bench.pid("daemon"), signal.SIGHUP):  # its child answers before it has a handler
        await bench.turn()
    os.kill(bench.pid("daemon"), signal.SIGHUP)  # by somebody else: it executes itself anew
    while not would_kill(bench.pid("daemon"), signal.SIGHUP):
        await bench.turn()
    await bench.supervisor.operate("daemon", "reload", wait=True)
    assert list(bench.supervisor.unit("daemon").deaths) == []
    assert times_configured(tmp_path) == 3


async def test_one_that_dies_of_a_reload_runs_with_what_is_new(bench: Bench, tmp_path: Path) -> None:
    command = ("sh", "-c", "trap 'exit 9' HUP; while :; do :; done")
    reload = Reload(signal="HUP", renews=("sleep",))
    service = Service(name="daemon", command=command, reload=reload, on_change="reload")
    await bench.run(service)
    await bench.until("daemon", State.READY)
    pid = bench.pid("daemon")
    await changed(bench, service)
    assert bench.supervisor.unit("daemon").state is State.READY
    assert bench.pid("daemon") != pid
    assert bench.supervisor.unit("daemon").starts == 2


async def test_what_old_children_still_do_holds_no_reload_up(bench: Bench) -> None:
    """As Dovecot does: what old clients need stays beside what serves new ones."""
    command = ("sh", "-c", "trap 'tail -f /dev/null & ' HUP; tail -f /dev/null & while :; do wait; done")
    reload = Reload(signal="HUP", renews=("tail",), keeps_old=True)
    await bench.run(Service(name="daemon", command=command, reload=reload, on_change="reload"))
    await bench.until("daemon", State.READY)
    pid = bench.pid("daemon")
    while len(children_of(pid)) < 1 or would_kill(pid, signal.SIGHUP):
        await bench.turn()
    old = set(children_of(pid))
    await bench.supervisor.operate("daemon", "reload", wait=True)
    assert old < set(children_of(pid))
    assert bench.pid("daemon") == pid


async def test_one_that_does_not_reload_is_started_anew(bench: Bench, tmp_path: Path) -> None:
    service = Service(name="daemon", command=("sleep", "1000"), reload=Reload(command=("false",)), on_change="reload")
    await bench.run(service)
    await bench.until("daemon", State.READY)
    await changed(bench, service)
    unit = bench.supervisor.unit("daemon")
    assert (unit.state, unit.starts) == (State.READY, 2)


async def test_one_that_does_not_come_up_either_is_a_failure(bench: Bench, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    service = Service(
        name="daemon",
        command=("sh", "-c", f"test -e {flag} && exec sleep 1000"),
        ready=Readiness(probe=Probe(kind="file", address=str(flag)), timeout_seconds=0.5),
        reload=Reload(command=("rm", str(flag), "/nonexistent")),
        on_change="reload",
    )
    await bench.run(service)
    await bench.until("daemon", State.READY)
    with pytest.raises(OperationFailed, match="cannot restart daemon"):
        await changed(bench, service)


async def test_a_stop_that_is_lost_in_an_exec_is_sent_again(bench: Bench, tmp_path: Path) -> None:
    await bench.run(daemon(tmp_path, seconds=1000, stop=Stop(grace_seconds=1000)))
    await bench.until("daemon", State.READY)
    reloading = asyncio.create_task(bench.supervisor.operate("daemon", "reload", wait=True))
    await bench.until("daemon", State.RELOADING)
    async with asyncio.timeout(100):  # far below its grace
        await bench.supervisor.operate("daemon", "stop", wait=True)
    with pytest.raises(OperationFailed, match="ended meanwhile"):
        await reloading
