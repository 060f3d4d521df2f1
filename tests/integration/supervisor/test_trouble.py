"""What goes wrong around services: nothing may hang, nothing may be lost, and what passes is got over."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dmsinit.plan import Health, Probe, Readiness, Reload, Restart, Service, Stop
from dmsinit.supervisor import Children, OperationFailed, Reason, State
from dmsinit.supervisor.proctree import read_process
from tests.support.bench import Bench, gone, no_descriptors, shell

SOON = Restart(max_delay_seconds=0.02)


def there(path: Path) -> Readiness:
    return Readiness(probe=Probe(kind="file", address=str(path)), timeout_seconds=20)


async def until_gone(pid: int) -> None:
    """Wait for the end of a process that is not our child."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(pidfd, ended.set)
    await asyncio.wait_for(ended.wait(), 100)
    asyncio.get_running_loop().remove_reader(pidfd)
    os.close(pidfd)


# Commands that hang


async def test_a_stop_command_that_hangs_costs_no_more_than_the_grace(bench: Bench, tmp_path: Path) -> None:
    hanging = ("sh", "-c", f"sleep 1001 & echo $! > {tmp_path}/pid; wait")
    await bench.run(shell("daemon", "trap '' TERM; sleep 1000", stop=Stop(command=hanging, grace_seconds=0.5)))
    await bench.until("daemon", State.READY)
    pid = bench.pid("daemon")
    async with asyncio.timeout(100):
        await bench.supervisor.operate("daemon", "stop", wait=True)
    assert gone(pid)
    await until_gone(int((tmp_path / "pid").read_text()))


async def test_a_stop_command_that_does_not_work_is_followed_by_the_signal(bench: Bench) -> None:
    await bench.run(shell("daemon", "exec sleep 1000", stop=Stop(command=("false",), grace_seconds=1000)))
    await bench.until("daemon", State.READY)
    async with asyncio.timeout(100):
        await bench.supervisor.operate("daemon", "stop", wait=True)


async def test_a_reload_command_that_hangs_is_cut_off(bench: Bench, tmp_path: Path) -> None:
    hanging = ("sh", "-c", f"sleep 1001 & echo $! > {tmp_path}/pid; wait")
    service = shell("daemon", "exec sleep 1000", reload=Reload(command=hanging), ready=Readiness(timeout_seconds=0.5))
    await bench.run(service)
    await bench.until("daemon", State.READY)
    with pytest.raises(OperationFailed, match=r"cannot reload daemon: sh did not end within 0\.5 s"):
        await bench.supervisor.operate("daemon", "reload", wait=True)
    assert bench.supervisor.unit("daemon").state is State.UNHEALTHY
    await until_gone(int((tmp_path / "pid").read_text()))


async def test_a_reload_that_fails_says_what_to_do(bench: Bench) -> None:
    command = ("sh", "-c", "echo 'open /etc/x: Permission denied' >&2; exit 1")
    await bench.run(shell("daemon", "exec sleep 1000", reload=Reload(command=command)))
    await bench.until("daemon", State.READY)
    with pytest.raises(OperationFailed, match="exit code 1; permission denied") as failure:
        await bench.supervisor.operate("daemon", "reload", wait=True)
    assert failure.value.log_lines == ("open /etc/x: Permission denied",)


async def test_a_probe_command_that_hangs_is_killed_with_its_children(bench: Bench, tmp_path: Path) -> None:
    hanging = ("sh", "-c", f"sleep 1001 & echo $! >> {tmp_path}/pids; wait")
    health = Health(
        probe=Probe(kind="command", command=hanging, timeout_seconds=0.3), interval_seconds=0.01, failures=2
    )
    await bench.run(shell("daemon", "exec sleep 1000", health=health, restart=Restart(policy="never")))
    await bench.until("daemon", State.FAILED)
    assert bench.supervisor.unit("daemon").deaths[-1].cause == Reason.PROBE_FAILED
    assert "within 0.3 s" in bench.supervisor.unit("daemon").detail
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    for pid in pids:
        await until_gone(pid)


# Processes that multiply


async def test_a_service_that_forks_while_it_is_killed(bench: Bench, tmp_path: Path) -> None:
    """Each process lives for an instant and leaves the next one: no look at /proc ever sees the living one."""
    chain = (
        "import os, signal, sys\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if os.fork() == 0:\n    open(sys.argv[1], 'w').close()\n    while os.fork() == 0: pass\n    os._exit(0)\n"
        "signal.pause()"
    )
    forks = tmp_path / "forks"
    command = (sys.executable, "-I", "-S", "-c", chain, str(forks))
    await bench.run(Service(name="hydra", command=command, stop=Stop(grace_seconds=0.2)))
    await bench.until("hydra", State.READY)
    session = bench.pid("hydra")
    async with asyncio.timeout(100):
        while not forks.exists():
            await bench.turn()
        await bench.supervisor.operate("hydra", "stop", wait=True)
    alive = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _session(pid) == session]
    assert alive == []


def _session(pid: int) -> int:
    process = read_process(pid)
    return process.session if process is not None and process.state not in "ZX" else 0


async def test_a_service_that_makes_zombies(bench: Bench, children: Children, tmp_path: Path) -> None:
    """They are its own to reap while it lives, do not keep it from ending, and are reaped then."""
    script = (
        "import os, sys, time\nfor _ in range(200):\n    if os.fork() == 0: os._exit(0)\n"
        "open(sys.argv[1], 'w').close()\ntime.sleep(1000)"
    )
    command = (sys.executable, "-I", "-S", "-c", script, str(tmp_path / "made"))
    await bench.run(Service(name="careless", command=command, ready=there(tmp_path / "made")))
    await bench.until("careless", State.READY)
    assert len(bench.supervisor.members("careless")) == 1
    async with asyncio.timeout(100):
        await bench.supervisor.operate("careless", "stop", wait=True)
        while children.orphans_reaped < 200:
            await children.spawn(["true"], env={"PATH": os.environ["PATH"]}).wait()


async def test_a_suspended_process_takes_notice_of_its_end(bench: Bench) -> None:
    await bench.run(shell("daemon", "exec sleep 1000", stop=Stop(grace_seconds=1000)))
    await bench.until("daemon", State.READY)
    os.kill(bench.pid("daemon"), signal.SIGSTOP)
    async with asyncio.timeout(100):
        await bench.supervisor.operate("daemon", "stop", wait=True)


# What runs out


async def test_without_descriptors_a_crash_is_got_over(bench: Bench) -> None:
    """What the dead one had may be enough for the next; else that waits until there are some."""
    await bench.run(shell("daemon", "sleep 1000 & exec sleep 1001", restart=SOON), shell("other", "exec sleep 1000"))
    await bench.until("daemon", State.READY)
    before, other = bench.pid("daemon"), bench.pid("other")
    with no_descriptors():
        os.kill(before, signal.SIGKILL)
        unit = bench.supervisor.unit("daemon")
        await bench.until("daemon", State.READY, State.BACKOFF, and_=lambda: unit.restarts > 0)
        assert unit.deaths[-1].detail == "killed by SIGKILL"
    await bench.until("daemon", State.READY, and_=lambda: bench.pid("daemon") != before)
    assert bench.pid("other") == other


async def test_a_start_without_descriptors_is_tried_again(bench: Bench) -> None:
    await bench.run(shell("daemon", "exec sleep 1001", restart=SOON))
    await bench.supervisor.operate("daemon", "stop", wait=True)
    with no_descriptors():
        await bench.supervisor.operate("daemon", "start", wait=False)
        unit = bench.supervisor.unit("daemon")
        await bench.until("daemon", State.BACKOFF, and_=lambda: "Too many open files" in unit.detail)
        assert "cannot start daemon: Too many open files; dmsinit has no file descriptors left" in unit.detail
        assert bench.supervisor.members("daemon") == []
    await bench.until("daemon", State.READY)


async def test_without_descriptors_a_service_can_be_stopped(bench: Bench) -> None:
    await bench.run(shell("daemon", "trap '' TERM; sleep 1000 & wait", stop=Stop(grace_seconds=0.1)))
    await bench.until("daemon", State.READY)
    pid = bench.pid("daemon")
    with no_descriptors():
        async with asyncio.timeout(100):
            await bench.supervisor.operate("daemon", "stop", wait=True)
    assert gone(pid)
    assert bench.supervisor.members("daemon") == []


async def test_our_own_shortage_is_no_fault_of_a_service(bench: Bench, free_port: int) -> None:
    """A probe that cannot be asked counts neither for nor against a service that is well."""
    script = (
        "import socket, sys\nserver = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
        "while True: server.accept()[0].close()"
    )
    probe = Probe(kind="tcp", address=f"inet:127.0.0.1:{free_port}")
    health = Health(probe=probe, interval_seconds=0.02, failures=1)
    command = (sys.executable, "-I", "-S", "-c", script, str(free_port))
    await bench.run(Service(name="well", command=command, ready=Readiness(probe=probe), health=health))
    await bench.until("well", State.READY)
    pid, asked = bench.pid("well"), bench.supervisor.unit("well").answers.last_seconds
    with no_descriptors():
        await asyncio.sleep(0.2)  # ten intervals in which a failure would count at once
    async with asyncio.timeout(100):
        while bench.supervisor.unit("well").answers.last_seconds == asked:
            await bench.turn()
    assert bench.pid("well") == pid
    assert [state for state, _ in bench.history("well")] == ["waiting", "starting", "ready"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The directory of the logs is a file system of 64 KiB."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(tmp_path)], check=True)
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


@pytest.mark.usefixtures("small_disk")
async def test_a_full_disk_stops_no_service(small_disk: Path, bench: Bench) -> None:
    fifo = small_disk / "more"
    os.mkfifo(fifo)
    script = f"yes 'a line that fills the disk' | head -n 8000; echo full; read x < {fifo}; echo again; sleep 1000"
    await bench.run(shell("talker", script), shell("other", "exec sleep 1000", restart=SOON))
    lines = bench.supervisor.unit("talker").tree.output.follow(0)
    async with asyncio.timeout(100):
        async for line in lines:
            if line == "full":
                break
        other = bench.pid("other")
        os.kill(other, signal.SIGKILL)
        await bench.until("other", State.READY, and_=lambda: bench.pid("other") != other)
        os.truncate(small_disk / "talker.log", 0)
        fifo.write_text("go\n")
        async for line in lines:
            if line == "again":
                break
    await lines.aclose()  # type: ignore[attr-defined]  # an async generator
    text = (small_disk / "talker.log").read_text()
    assert "bytes are missing here: No space left on device\n" in text
    assert text.endswith("again\n")
    assert bench.supervisor.unit("talker").state is State.READY


async def test_a_program_that_disappears_and_comes_back(bench: Bench, tmp_path: Path) -> None:
    program = tmp_path / "daemon"
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    program.chmod(0o755)
    await bench.run(Service(name="daemon", command=(str(program),)))
    await bench.until("daemon", State.READY)
    program.rename(tmp_path / "away")
    os.kill(bench.pid("daemon"), signal.SIGKILL)
    await bench.until("daemon", State.FAILED)
    assert f"cannot start daemon: {program} not found or not executable" in bench.supervisor.unit("daemon").detail
    with pytest.raises(OperationFailed, match="not found or not executable"):
        await bench.supervisor.operate("daemon", "start", wait=True)
    (tmp_path / "away").rename(program)
    assert (await bench.supervisor.operate("daemon", "start", wait=True)).state == "ready"


async def test_a_program_that_cannot_be_executed(bench: Bench, tmp_path: Path) -> None:
    program = tmp_path / "daemon"
    program.write_bytes(b"\x7fELF but not really")
    program.chmod(0o755)
    await bench.run(Service(name="daemon", command=(str(program),)))
    await bench.until("daemon", State.FAILED)
    assert "cannot start daemon: Exec format error" in bench.supervisor.unit("daemon").detail


# What people read


async def test_a_death_says_what_to_do(bench: Bench) -> None:
    never = Restart(policy="never")
    await bench.run(shell("daemon", "echo 'bind: Address already in use' >&2; exit 1", restart=never))
    await bench.until("daemon", State.EXITED)
    death = bench.supervisor.status("daemon").last_exit
    assert death is not None
    assert death.hint.startswith("another process listens there already")
    told = bench.supervisor.unit("daemon").failure("daemon ended", death.hint)
    assert told.splitlines()[-1] == f"  hint: {death.hint}"


async def test_an_operation_that_fails_says_what_to_do(bench: Bench) -> None:
    ready = Readiness(probe=Probe(kind="file", address="/nonexistent"))
    await bench.run(shell("daemon", "exec no-such-program", ready=ready, restart=Restart(delay_seconds=60)))
    await bench.until("daemon", State.BACKOFF)
    with pytest.raises(
        OperationFailed, match="cannot restart daemon: exit code 127; next start in 60.0 s; a program was not found"
    ):
        await bench.supervisor.operate("daemon", "restart", wait=True)


async def test_a_defect_in_the_clean_up_ends_nothing_else(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a defect that strikes again while we recover from the first one leaves the other lives alone."""
    from dmsinit.supervisor import supervisor as module
    from dmsinit.supervisor.tree import Tree

    monkeypatch.setattr(module, "_PAUSE_AFTER_DEFECT_SECONDS", 0.01)
    await bench.run(shell("one", "exec sleep 1000"), shell("two", "exec sleep 1000"))
    await bench.supervisor.whole.until_settled()
    one, two = bench.pid("one"), bench.pid("two")
    end, struck = Tree.end, 0

    async def defective(self: Tree, stop: Stop) -> None:
        nonlocal struck
        if self.name == "one" and struck < 3:
            struck += 1
            raise ZeroDivisionError
        await end(self, stop)

    monkeypatch.setattr(Tree, "end", defective)
    os.kill(one, signal.SIGKILL)
    await bench.until("one", State.READY, and_=lambda: bench.pid("one") != one)
    assert struck == 3
    assert bench.pid("two") == two


async def test_one_that_fails_again_and_again_is_told_once(bench: Bench) -> None:
    lines: list[bytes] = []
    bench.supervisor.runtime.log.copy_to(lines.append, "warn")
    await bench.run(shell("daemon", "echo no port at $$; exit 3", restart=SOON))
    unit = bench.supervisor.unit("daemon")
    while unit.restarts < 5:
        await unit.changed.wait()
    assert len([line for line in lines if b"daemon ended after" in line]) == 1
