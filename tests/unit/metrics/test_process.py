import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from dmsinit.metrics.process import CpuCounters, Pss, Usage, usage


@pytest.fixture
def daemon() -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process that holds 20 MiB and three descriptors more than it was given, and has used CPU."""
    script = (
        "import os, time; data = bytearray(b'x') * (20 << 20); files = [open('/dev/null') for _ in range(3)];\n"
        "while time.process_time() < 0.2: pass\n"
        "print('ready', flush=True); os.read(0, 1)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_a_real_process_is_measured(daemon: subprocess.Popen[bytes]) -> None:
    pss = Pss()
    pss.refresh([daemon.pid])
    found = usage([daemon.pid], pss)
    assert found.processes == 1
    assert 0.15 <= found.cpu_seconds < 5
    assert found.rss > 20 << 20
    assert found.pss is not None
    assert 20 << 20 < found.pss <= found.rss
    assert found.fds == 6


def test_processes_add_up_and_the_dead_count_as_nothing(daemon: subprocess.Popen[bytes]) -> None:
    pss = Pss()
    pids = [daemon.pid, os.getpid()]
    pss.refresh(pids)
    both = usage(pids, pss)
    assert both.processes == 2
    daemon.send_signal(signal.SIGKILL)
    daemon.wait()
    assert usage([daemon.pid], pss) == Usage()


def test_what_may_not_be_read_is_unknown_and_not_guessed() -> None:
    pss = Pss(budget_seconds=0.0)
    pss.refresh([os.getpid()])
    assert usage([os.getpid()], pss).pss is None


def test_the_budget_is_spent_on_the_oldest_values(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    now = 0.0

    def fields(pid: int, _file: str) -> dict[bytes, int]:
        nonlocal now
        now += 1.0
        read.append(pid)
        return {b"Pss": pid}

    monkeypatch.setattr("dmsinit.metrics.process._kib_fields", fields)
    monkeypatch.setattr("time.monotonic", lambda: now)
    pss = Pss(budget_seconds=2.0)
    for _ in range(3):
        pss.refresh([1, 2, 3])
    assert read == [1, 2, 3, 1, 2, 3]
    pss.refresh([3])
    assert pss.of(1) is None
    assert pss.of(3) == 3


def test_cpu_counters_never_fall() -> None:
    counters = CpuCounters()
    seen = [dict(counters.advance({"a": seconds}))["a"] for seconds in (1.0, 3.0, 0.5, 1.5)]
    assert seen == [1.0, 3.0, 3.0, 4.0]
