"""The kernel counts its kills and names nobody: each is told to one death."""

from pathlib import Path

import pytest

from dmsinit.base.cgroup import Hierarchy
from dmsinit.supervisor import Exit, Reason
from dmsinit.supervisor.oom import OomKills
from dmsinit.supervisor.verdict import cause

V2 = "low 0\nhigh 3\nmax 12\noom {0}\noom_kill {0}\noom_group_kill 0\n"
V1 = "oom_kill_disable 0\nunder_oom 0\noom_kill {0}\n"
KILLED = Exit(None, 9)


@pytest.mark.parametrize(("version", "file", "text"), [(2, "memory.events", V2), (1, "memory.oom_control", V1)])
def test_counts(tmp_path: Path, version: int, file: str, text: str) -> None:
    (tmp_path / file).write_text(text.format(7))
    assert OomKills(Hierarchy(version, tmp_path)).count() == 7


def test_no_counter(tmp_path: Path) -> None:
    oom = OomKills(Hierarchy(2, tmp_path))
    assert oom.count() is None
    assert cause(KILLED, oom, None) == (Reason.SIGNALLED, "killed by SIGKILL")


def test_each_kill_is_told_once(tmp_path: Path) -> None:
    counter = tmp_path / "memory.events"
    oom = OomKills(Hierarchy(2, tmp_path))
    counter.write_text(V2.format(4))
    before = oom.count()
    assert cause(KILLED, oom, before)[0] is Reason.SIGNALLED
    counter.write_text(V2.format(6))
    assert cause(Exit(1, None), oom, before) == (Reason.EXITED, "exit code 1")
    assert cause(KILLED, oom, before)[0] is Reason.OOM_KILLED
    assert cause(Exit(137, None), oom, before)[0] is Reason.OOM_KILLED  # a shell tells of its child
    assert cause(KILLED, oom, before)[0] is Reason.SIGNALLED


def test_a_kill_before_the_process_began_is_not_its_own(tmp_path: Path) -> None:
    counter = tmp_path / "memory.oom_control"
    oom = OomKills(Hierarchy(1, tmp_path))
    counter.write_text(V1.format(1))
    assert cause(KILLED, oom, oom.count())[0] is Reason.SIGNALLED
