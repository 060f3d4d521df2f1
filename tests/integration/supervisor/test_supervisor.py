"""The life of services with real processes: order, readiness, crashes, hangs, leftovers, operations."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from dmsinit.plan import Health, Limits, Probe, Readiness, Restart, Service, Stop
from dmsinit.supervisor import OperationFailed, Reason, State
from tests.support.bench import Bench, gone, listening, shell

PYTHON = (sys.executable, "-I", "-c")

LISTENER = """
import os, socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client, _ = server.accept()
    client.sendall(b"220 hello\\r\\n")
    client.close()
"""

FORKING = """
import os, socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
if os.fork() == 0:
    os.setsid()
    while True:
        client, _ = server.accept()
        client.sendall(b"220 from the child\\r\\n")
        client.close()
while True:
    time.sleep(60)
"""


async def test_starts_in_order_of_readiness(bench: Bench, tmp_path: Path) -> None:
    flag = tmp_path / "ready"
    first = shell(
        "first", f"sleep 0.2; touch {flag}; exec sleep 60", ready=Readiness(probe=Probe(kind="file", address=str(flag)))
    )
    second = shell(
        "second", f"test -e {flag} || exit 9; exec sleep 60", after=("first",), restart=Restart(policy="never")
    )
    await bench.run(second, first)
    await bench.until("second", State.READY, State.EXITED)
    assert bench.supervisor.unit("second").state is State.READY
    assert bench.supervisor.unit("second").span.waited_for == "first"


async def test_independent_services_start_in_parallel(bench: Bench, tmp_path: Path) -> None:
    """Each waits for the other's mark: they can only become ready when both run."""
    for name, other in (("a", "b"), ("b", "a")):
        assert name != other
    mark = "touch {0}/{1}; while [ ! -e {0}/{2} ]; do sleep 0.01; done; touch {0}/{1}.ready; exec sleep 60"
    services = [
        shell(
            name,
            mark.format(tmp_path, name, other),
            ready=Readiness(probe=Probe(kind="file", address=f"{tmp_path}/{name}.ready"), timeout_seconds=10),
        )
        for name, other in (("a", "b"), ("b", "a"))
    ]
    await bench.run(*services)
    async with asyncio.timeout(100):
        await bench.supervisor.whole.until_settled()


async def test_a_crashed_service_is_back_at_once(bench: Bench) -> None:
    await bench.run(shell("daemon", "exec sleep 60"))
    await bench.until("daemon", State.READY)
    before = bench.pid("daemon")
    os.kill(before, signal.SIGKILL)
    await bench.until("daemon", State.READY, and_=lambda: bench.pid("daemon") != before)
    unit = bench.supervisor.unit("daemon")
    assert unit.restarts == 1
    assert unit.deaths[-1].cause == Reason.SIGNALLED
    assert unit.deaths[-1].detail == "killed by SIGKILL"
    assert ("backoff", "signalled") in bench.history("daemon")


async def test_a_crash_loop_backs_off_and_gives_up(bench: Bench) -> None:
    restart = Restart(delay_seconds=0, max_delay_seconds=0.01, give_up_after=3, give_up_within_seconds=60)
    await bench.run(shell("broken", "echo the reason >&2; exit 3", restart=restart))
    await bench.until("broken", State.FAILED)
    unit = bench.supervisor.unit("broken")
    assert unit.starts == 4
    assert unit.detail == "exit code 3"
    assert "the reason" in unit.tree.output.tail(20)


async def test_who_waits_for_the_whole_does_not_wait_for_a_crash_loop(bench: Bench) -> None:
    never = Readiness(probe=Probe(kind="file", address="/nowhere"))
    broken = shell("broken", "exit 3", restart=Restart(max_delay_seconds=0.01), ready=never)
    await bench.run(broken, shell("daemon", "exec sleep 60"))
    async with asyncio.timeout(100):
        await bench.supervisor.whole.until_settled()
    (unit,) = bench.supervisor.whole.troubled()
    assert unit.name == "broken"
    assert unit.trouble.startswith("exit code 3")


async def test_a_missing_program_fails_with_a_sentence(bench: Bench) -> None:
    await bench.run(Service(name="clamav", command=("/usr/sbin/no-such-daemon",)))
    await bench.until("clamav", State.FAILED)
    assert "cannot start clamav: /usr/sbin/no-such-daemon not found" in bench.supervisor.unit("clamav").detail


async def test_a_missing_user_fails_with_a_sentence(bench: Bench) -> None:
    await bench.run(shell("daemon", "exec sleep 60", user="nobody-knows-me"))
    await bench.until("daemon", State.FAILED)
    assert "user nobody-knows-me does not exist" in bench.supervisor.unit("daemon").detail


async def test_user_group_and_limits_are_set(bench: Bench, public_path: Path) -> None:
    questions = (
        "id -un; id -gn; ulimit -n; cat /proc/self/oom_score_adj; nice; umask; pwd; "
        "grep -E 'NoNewPrivs|CapBnd' /proc/self/status; echo $COLOUR"
    )
    service = shell(
        "daemon",
        f"({questions}) > {public_path}/new; mv {public_path}/new {public_path}/out; exec sleep 60",
        user="nobody",
        group="nogroup",
        umask="027",
        cwd="/var",
        env={"COLOUR": "blue"},
        limits=Limits(nofile=123, oom_score_adj=300, nice=5, no_new_privs=True, capabilities=("net_bind_service",)),
        ready=Readiness(probe=Probe(kind="file", address=str(public_path / "out"))),
    )
    await bench.run(service)
    await bench.until("daemon", State.READY)
    answers = "nobody nogroup 123 300 5 0027 /var CapBnd: 0000000000000400 NoNewPrivs: 1 blue"
    assert (public_path / "out").read_text().split() == answers.split()


async def test_not_ready_in_time_is_restarted(bench: Bench) -> None:
    ready = Readiness(probe=Probe(kind="file", address="/nonexistent"), timeout_seconds=0.1)
    restart = Restart(max_delay_seconds=0.01, give_up_after=1, give_up_within_seconds=60)
    await bench.run(shell("slow", "exec sleep 60", ready=ready, restart=restart))
    await bench.until("slow", State.FAILED)
    assert [death.cause for death in bench.supervisor.unit("slow").deaths] == ["ready-timeout", "ready-timeout"]
    assert "/nonexistent does not exist" in bench.supervisor.unit("slow").detail


async def test_a_hung_daemon_is_noticed_and_restarted(bench: Bench, free_port: int) -> None:
    service = Service(
        name="smtpd",
        command=(*PYTHON, LISTENER, str(free_port)),
        ready=Readiness(probe=listening(free_port)),
        health=Health(
            probe=Probe(kind="smtp", address=f"inet:127.0.0.1:{free_port}", timeout_seconds=0.2),
            interval_seconds=0.05,
            failures=2,
        ),
        stop=Stop(grace_seconds=0.1),
    )
    await bench.run(service)
    await bench.until("smtpd", State.READY)
    before = bench.pid("smtpd")
    os.kill(before, signal.SIGSTOP)
    await bench.until("smtpd", State.READY, and_=lambda: bench.pid("smtpd") != before)
    assert bench.supervisor.unit("smtpd").deaths[-1].cause == Reason.PROBE_FAILED
    states = [state for state, _ in bench.history("smtpd")]
    assert states[-6:] == ["unhealthy", "stopping", "backoff", "waiting", "starting", "ready"]


async def test_stop_leaves_nothing_behind(bench: Bench, tmp_path: Path) -> None:
    """Also not a grandchild that left the session, lost its parent and ignores TERM."""
    pid_file = tmp_path / "pid"
    script = (
        f'(setsid sh -c \'trap "" TERM; echo $$ > {pid_file}.tmp; mv {pid_file}.tmp {pid_file}; '
        "while :; do sleep 60; done' &) ; exec sleep 60"
    )
    await bench.run(shell("daemon", script, ready=Readiness(probe=Probe(kind="file", address=str(pid_file)))))
    await bench.until("daemon", State.READY)
    grandchild = int(pid_file.read_text())
    assert not gone(grandchild)
    await bench.supervisor.operate("daemon", "stop", wait=True)
    assert gone(grandchild)
    assert bench.supervisor.unit("daemon").state is State.STOPPED


async def test_children_of_a_killed_parent_are_killed_where_the_service_is_stopped_by_kill(
    bench: Bench, tmp_path: Path
) -> None:
    told, pid_file, never = tmp_path / "told", tmp_path / "pid", tmp_path / "never"
    os.mkfifo(never)
    child = tmp_path / "child"
    child.write_text(f"trap 'echo > {told}' TERM; echo $$ > {child}.pid; mv {child}.pid {pid_file}; read x; read x")
    ready = Readiness(probe=Probe(kind="file", address=str(pid_file)))
    await bench.run(shell("parent", f"sh {child} <> {never} & exec sleep 60", ready=ready, stop=Stop(signal="KILL")))
    await bench.until("parent", State.READY)
    child_pid, before = int(pid_file.read_text()), bench.pid("parent")
    os.kill(before, signal.SIGKILL)
    await bench.until("parent", State.READY, and_=lambda: bench.pid("parent") != before)
    assert gone(child_pid)
    assert not told.exists()


async def test_a_killed_parent_does_not_leave_the_port_to_its_child(bench: Bench, free_port: int) -> None:
    service = Service(
        name="milter", command=(*PYTHON, FORKING, str(free_port)), ready=Readiness(probe=listening(free_port))
    )
    await bench.run(service)
    await bench.until("milter", State.READY)
    before = bench.pid("milter")
    os.kill(before, signal.SIGKILL)
    await bench.until("milter", State.READY, and_=lambda: bench.pid("milter") != before)
    assert bench.supervisor.unit("milter").starts == 2
    assert len(bench.supervisor.members("milter")) == 2


async def test_a_process_that_ignores_term_is_killed_after_its_grace(bench: Bench) -> None:
    await bench.run(shell("stubborn", "trap '' TERM; while :; do sleep 1; done", stop=Stop(grace_seconds=0.2)))
    await bench.until("stubborn", State.READY)
    pid = bench.pid("stubborn")
    await bench.supervisor.operate("stubborn", "stop", wait=True)
    assert gone(pid)


async def test_stops_in_reverse_order(bench: Bench) -> None:
    await bench.run(
        shell("base", "exec sleep 60"),
        shell("user", "trap 'sleep 0.1; exit 0' TERM; while :; do sleep 0.01; done", wants=("base",)),
        shell("follower", "exec sleep 60", late=True),
    )
    await bench.supervisor.whole.until_settled()
    bench.supervisor.come_up()
    await bench.until("follower", State.READY)
    await bench.supervisor.stop_all(Reason.SHUTDOWN)
    ended = [e.service for e in bench.supervisor.runtime.events.recent if e.to_state == "stopped"]
    assert ended == ["follower", "user", "base"]


async def test_a_late_service_waits_for_the_whole(bench: Bench) -> None:
    await bench.run(shell("daemon", "exec sleep 60"), shell("late", "exec sleep 60", late=True))
    await bench.supervisor.whole.until_settled()
    assert bench.supervisor.unit("late").state is State.WAITING
    bench.supervisor.come_up()
    await bench.until("late", State.READY)


async def test_a_hard_dependency_takes_its_dependents_along_only_when_it_stops(bench: Bench) -> None:
    await bench.run(shell("redis", "exec sleep 60"), shell("rspamd", "exec sleep 60", requires=("redis",)))
    await bench.supervisor.whole.until_settled()
    dependent = bench.pid("rspamd")
    crashed = bench.pid("redis")
    os.kill(crashed, signal.SIGKILL)
    await bench.until("redis", State.READY, and_=lambda: bench.pid("redis") != crashed)
    assert bench.pid("rspamd") == dependent
    await bench.supervisor.operate("redis", "stop", wait=True)
    assert bench.supervisor.unit("rspamd").state is State.STOPPED
    assert bench.history("rspamd")[-1] == ("stopped", "dependency")
    with pytest.raises(OperationFailed, match="requires redis, which is not up"):
        await bench.supervisor.operate("rspamd", "start", wait=True)


async def test_a_wanted_service_that_fails_is_not_waited_for(bench: Bench) -> None:
    await bench.run(
        Service(name="broken", command=("/nonexistent",)), shell("user", "exec sleep 60", wants=("broken",))
    )
    await bench.until("user", State.READY)


async def test_oneshot_runs_once(bench: Bench, tmp_path: Path) -> None:
    await bench.run(
        shell("prepare", f"sleep 0.1; echo done >> {tmp_path}/x", type="oneshot"),
        shell("daemon", f"grep -q done {tmp_path}/x && exec sleep 60", requires=("prepare",)),
    )
    await bench.supervisor.whole.until_settled()
    assert bench.supervisor.unit("prepare").state is State.EXITED
    assert (tmp_path / "x").read_text() == "done\n"
    await bench.supervisor.operate("prepare", "start", wait=True)
    assert (tmp_path / "x").read_text() == "done\ndone\n"


async def test_output_goes_to_a_file_and_a_bounded_ring(bench: Bench, tmp_path: Path) -> None:
    await bench.run(shell("talker", "seq 1 2000; echo last >&2; exec sleep 60"))
    unit = bench.supervisor.unit("talker")
    lines = unit.tree.output.follow(0)
    async with asyncio.timeout(100):
        async for line in lines:
            if line == "last":
                break
    assert unit.tree.output.tail(3) == ["1999", "2000", "last"]
    assert len(unit.tree.output.tail(10_000)) == 500
    assert (tmp_path / "talker.log").read_text().splitlines()[0] == "1"
    await lines.aclose()  # type: ignore[attr-defined]  # an async generator


async def test_a_defect_in_one_life_leaves_the_others_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from dmsinit.supervisor import life
    from dmsinit.supervisor import supervisor as module

    monkeypatch.setattr(module, "_PAUSE_AFTER_DEFECT_SECONDS", 0.01)
    await bench.run(shell("one", "exec sleep 60"), shell("two", "exec sleep 60"))
    await bench.supervisor.whole.until_settled()
    one, two = bench.pid("one"), bench.pid("two")

    def defect(*_: object) -> None:
        monkeypatch.undo()
        raise ZeroDivisionError

    monkeypatch.setattr(life, "bury", defect)
    os.kill(one, signal.SIGKILL)
    await bench.until("one", State.READY, and_=lambda: bench.pid("one") != one)
    assert bench.pid("two") == two
