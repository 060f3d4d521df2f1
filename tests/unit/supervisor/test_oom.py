"""The kernel counts its kills and names nobody: each is told to one death."""

from pathlib import Path

import pytest

from dmsinit.supervisor import Exit, Reason
from dmsinit.supervisor.oom import OomKills
from dmsinit.supervisor.verdict import cause

V2 = "low 0\nhigh 3\nmax 12\noom {0}\noom_kill {0}\noom_group_kill 0\n"
V1 = "oom_kill_disable 0\nunder_oom 0\noom_kill {0}\n"
KILLED = Exit(None, 9)


@pytest.mark.parametrize("text", [V2, V1])
def test_counts(tmp_path: Path, text: str) -> None:
    (tmp_path / "counter").write_text(text.format(7))
    oom = OomKills([(str(tmp_path / "missing"), "oom_kill"), (str(tmp_path / "counter"), "oom_kill")])
    assert oom.count() == 7


def test_no_counter(tmp_path: Path) -> None:
    oom = OomKills([(str(tmp_path / "missing"), "oom_kill")])
    assert oom.count() is None
    assert cause(KILLED, oom, None) == (Reason.SIGNALLED, "killed by SIGKILL")


def test_each_kill_is_told_once(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    oom = OomKills([(str(counter), "oom_kill")])
    counter.write_text(V2.format(4))
    before = oom.count()
    assert cause(KILLED, oom, before)[0] is Reason.SIGNALLED
    counter.write_text(V2.format(6))
    assert cause(Exit(1, None), oom, before) == (Reason.EXITED, "exit code 1")
    assert cause(KILLED, oom, before)[0] is Reason.OOM_KILLED
    assert cause(Exit(137, None), oom, before)[0] is Reason.OOM_KILLED  # a shell tells of its child
    assert cause(KILLED, oom, before)[0] is Reason.SIGNALLED


def test_a_kill_before_the_process_began_is_not_its_own(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    oom = OomKills([(str(counter), "oom_kill")])
    counter.write_text(V1.format(1))
    assert cause(KILLED, oom, oom.count())[0] is Reason.SIGNALLED
