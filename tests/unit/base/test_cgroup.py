import math
from pathlib import Path

import pytest

from dmsinit.base.cgroup import Hierarchy, Memory, locate, oom_kills, read

V2_PRIVATE = "31 30 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw,nsdelegate"
V1_OF_DOCKER = (
    "112 100 0:50 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
    "113 112 0:29 /docker/abc /sys/fs/cgroup/cpu ro master:9 - cgroup cgroup rw,cpu\n"
    "116 112 0:32 /docker/abc /sys/fs/cgroup/memory ro master:9 - cgroup cgroup rw,memory"
)
HYBRID = V1_OF_DOCKER + "\n120 112 0:60 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"


@pytest.mark.parametrize(
    ("mountinfo", "cgroup", "expected"),
    [
        (V2_PRIVATE, "0::/", Hierarchy(2, Path("/sys/fs/cgroup"))),
        (V2_PRIVATE, "0::/system.slice/x", Hierarchy(2, Path("/sys/fs/cgroup/system.slice/x"))),
        (V2_PRIVATE, "0::/../outside", Hierarchy(2, Path("/sys/fs/cgroup/../outside"))),
        (V1_OF_DOCKER, "4:memory:/docker/abc\n1:cpu:/docker/abc", Hierarchy(1, Path("/sys/fs/cgroup/memory"))),
        (V1_OF_DOCKER, "4:memory:/docker/abc/sub\n1:cpu:/", Hierarchy(1, Path("/sys/fs/cgroup/memory/sub"))),
        (V1_OF_DOCKER, "4:memory:/\n1:cpu:/", Hierarchy(1, Path("/sys/fs/cgroup/memory"))),
        (HYBRID, "4:memory:/docker/abc\n0::/docker/abc", Hierarchy(1, Path("/sys/fs/cgroup/memory"))),
        ("22 1 0:5 / /proc rw - proc proc rw", "0::/", None),
    ],
)
def test_the_hierarchy_that_counts_memory_is_found(mountinfo: str, cgroup: str, expected: Hierarchy | None) -> None:
    assert locate(mountinfo, cgroup) == expected


def test_v2_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 300\n")
    assert read(Hierarchy(2, tmp_path)) == Memory(1000, math.inf, 700)
    (tmp_path / "memory.max").write_text("4096\n")
    assert read(Hierarchy(2, tmp_path)) == Memory(1000, 4096.0, 700)


def test_v1_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "memory.usage_in_bytes").write_text("1000\n")
    (tmp_path / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    (tmp_path / "memory.stat").write_text("inactive_file 1\ntotal_inactive_file 1200\n")
    assert read(Hierarchy(1, tmp_path)) == Memory(1000, math.inf, 0)


def test_without_files_there_is_no_answer(tmp_path: Path) -> None:
    assert read(Hierarchy(2, tmp_path)) is None


def test_oom_kills_are_read_from_both_versions(tmp_path: Path) -> None:
    (tmp_path / "memory.events").write_text("low 0\nmax 17\noom 3\noom_kill 2\noom_group_kill 0\n")
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 4\n")
    assert oom_kills(Hierarchy(2, tmp_path)) == 2
    assert oom_kills(Hierarchy(1, tmp_path)) == 4
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\n")
    assert oom_kills(Hierarchy(1, tmp_path)) is None
