"""One owner of waiting: no exit status is lost or stolen, orphans are reaped, children start clean."""

import asyncio
import os
import signal
import sys

import pytest

from dmsinit.base.spawn import spawn_process
from dmsinit.supervisor import Children, Exit

ENV = {"PATH": os.environ["PATH"]}


@pytest.mark.parametrize("code", [0, 1, 7, 255])
async def test_exit_codes_reach_their_owner(children: Children, code: int) -> None:
    assert await children.spawn(["sh", "-c", f"exit {code}"], env=ENV).wait() == Exit(code, None)


async def test_a_signal_is_told_apart_from_an_exit_code(children: Children) -> None:
    child = children.spawn(["sleep", "60"], env=ENV)
    child.send_signal(signal.SIGKILL)
    ended = await child.wait()
    assert ended == Exit(None, signal.SIGKILL)
    assert str(ended) == "killed by SIGKILL"


async def test_cancelled_waiting_leaves_the_process_alone(children: Children) -> None:
    child = children.spawn(["sh", "-c", "read line; exit 5"], env=ENV, stdin=(pipe := os.pipe())[0])
    os.close(pipe[0])
    waiting = asyncio.create_task(child.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    os.close(pipe[1])
    assert (await child.wait()).code == 5


async def test_a_storm_of_orphans_steals_no_exit_status(children: Children) -> None:
    """A thousand orphans end while a hundred children with different exit codes do."""
    makers = [
        children.spawn(["sh", "-c", "i=0; while [ $i -lt 100 ]; do (sleep 0.05 &) ; i=$((i+1)); done"], env=ENV)
        for _ in range(10)
    ]
    watched = [(code, children.spawn(["sh", "-c", f"sleep 0.1; exit {code}"], env=ENV)) for code in range(100)]
    for code, child in watched:
        assert await child.wait() == Exit(code, None)
    for maker in makers:
        assert (await maker.wait()).success
    async with asyncio.timeout(100):
        while children.orphans_reaped < 1000:
            last = children.spawn(["sleep", "0.05"], env=ENV)
            await last.wait()
    assert children.orphans_reaped == 1000


async def test_without_pidfds_everything_still_works(children: Children, monkeypatch: pytest.MonkeyPatch) -> None:
    def blocked(_pid: int) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "pidfd_open", blocked)
    child = children.spawn(["sleep", "60"], env=ENV)
    child.send_signal(signal.SIGTERM)
    assert await child.wait() == Exit(None, signal.SIGTERM)
    assert (await children.spawn(["sh", "-c", "exit 3"], env=ENV).wait()).code == 3
    assert not children.pidfds


async def test_children_start_clean(children: Children) -> None:
    """Default dispositions, empty mask, own session, and no descriptor beyond standard error."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    previous = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    reading, writing = os.pipe()
    leaked = os.open("/dev/null", os.O_RDONLY)
    try:
        script = (
            "import os, signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, []), "
            "signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL, os.getsid(0) == os.getpid(), "
            f"os.path.exists('/proc/self/fd/{leaked}'))"
        )
        child = children.spawn([sys.executable, "-I", "-c", script], env=ENV, stdout=writing, stderr=writing)
        os.close(writing)
        await child.wait()
        assert os.read(reading, 1000).decode() == "set() True True False\n"
    finally:
        os.close(leaked)
        os.close(reading)
        signal.signal(signal.SIGUSR2, previous)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})


async def test_a_child_that_ended_before_the_loop_keeps_its_exit_code() -> None:
    """As `dmsinit render` does when it refuses the configuration while PID 1 is still importing."""
    pid = spawn_process(["sh", "-c", "exit 78"], env=ENV, stdin=None, stdout=None, stderr=None)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - nothing else is in this loop
    owner = Children()
    owner.open([pid])
    for _ in range(3):
        await asyncio.sleep(0)
    assert (await asyncio.wait_for(owner.adopt(pid).wait(), 100)).code == 78
    owner.close()


async def test_a_missing_program_is_an_error_at_once(children: Children) -> None:
    with pytest.raises(FileNotFoundError):
        children.spawn(["/nonexistent/daemon"], env=ENV)
