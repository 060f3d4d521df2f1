"""What clamd and freshclam may do with the memory that the container has."""

from pathlib import Path

import pytest

from dmsinit.helpers import clamav
from dmsinit.helpers.clamav import Memory

MIB = 2**20


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def swap(directory: Path, mib: int) -> str:
    """Return a meminfo of a host with that much swap."""
    write(directory / "meminfo", f"MemTotal: 8000000 kB\nSwapTotal:  {mib * 1024} kB\n")
    return str(directory / "meminfo")


def test_need_grows_with_the_databases(tmp_path: Path) -> None:
    empty = clamav.need(str(tmp_path))
    (tmp_path / "main.cvd").write_bytes(bytes(MIB))
    compressed = clamav.need(str(tmp_path))
    (tmp_path / "own.hdb").write_bytes(bytes(MIB))
    plain = clamav.need(str(tmp_path))
    (tmp_path / "freshclam.dat").write_bytes(bytes(MIB))
    (tmp_path / "tmp.ndb").mkdir()
    assert empty == 20 * MIB
    assert compressed - empty == 5 * MIB
    assert plain - compressed == int(2.5 * MIB)
    assert clamav.need(str(tmp_path)) == plain


def test_memory_of_cgroup_v2_includes_swap(tmp_path: Path) -> None:
    write(tmp_path / "memory.max", f"{1000 * MIB}\n")
    write(tmp_path / "memory.swap.max", f"{200 * MIB}\n")
    write(tmp_path / "memory.stat", f"anon {300 * MIB}\nfile {5000 * MIB}\n")
    assert clamav.memory(str(tmp_path), swap(tmp_path, 4000)) == Memory(1200 * MIB, 300 * MIB)
    assert clamav.memory(str(tmp_path), swap(tmp_path, 50)) == Memory(1050 * MIB, 300 * MIB)
    write(tmp_path / "memory.swap.max", "max\n")
    assert clamav.memory(str(tmp_path), swap(tmp_path, 4000)) == Memory(5000 * MIB, 300 * MIB)


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"memory.memsw.limit_in_bytes": 900 * MIB, "memory.limit_in_bytes": 600 * MIB}, 900 * MIB),
        ({"memory.memsw.limit_in_bytes": 2**63 - 4096, "memory.limit_in_bytes": 600 * MIB}, 1100 * MIB),
        ({"memory.limit_in_bytes": 600 * MIB}, 600 * MIB),
    ],
)
def test_memory_of_cgroup_v1(tmp_path: Path, files: dict[str, int], limit: int) -> None:
    for name, value in files.items():
        write(tmp_path / "memory" / name, f"{value}\n")
    write(tmp_path / "memory" / "memory.stat", f"cache 1\nrss 2\ntotal_rss {100 * MIB}\n")
    assert clamav.memory(str(tmp_path), swap(tmp_path, 500)) == Memory(limit, 100 * MIB)


def test_no_limit(tmp_path: Path) -> None:
    assert clamav.memory(str(tmp_path)) is None
    write(tmp_path / "memory.max", "max\n")
    write(tmp_path / "memory" / "memory.limit_in_bytes", f"{2**63 - 4096}\n")
    assert clamav.memory(str(tmp_path)) is None


def test_too_little_is_told_with_both_figures() -> None:
    text = clamav.warning(900 * MIB, Memory(1024 * MIB, 300 * MIB))
    assert "about 900 MiB" in text
    assert "limit of 1024 MiB only 724 MiB are left" in text
    assert clamav.warning(900 * MIB, Memory(2048 * MIB, 300 * MIB)) == ""
    assert clamav.warning(900 * MIB, None) == ""


@pytest.mark.parametrize(("program", "option"), [("clamd", "ConcurrentDatabaseReload"), ("freshclam", "TestDatabases")])
def test_a_second_database_only_where_two_fit(tmp_path: Path, program: str, option: str) -> None:
    original = tmp_path / "original.conf"
    original.write_text(f"LogTime true\n{option} yes\nFoo bar\n")

    def chosen(has: Memory | None) -> str:
        return clamav.configuration(program, str(original), 900 * MIB, has, str(tmp_path))

    assert chosen(None) == str(original)
    assert chosen(Memory(2000 * MIB, 200 * MIB)) == str(original)
    copy = chosen(Memory(1900 * MIB, 200 * MIB))
    assert Path(copy).read_text() == f"LogTime true\n{option} no\nFoo bar\n"
    original.write_text("LogTime true\n")
    assert Path(chosen(Memory(1900 * MIB, 200 * MIB))).read_text() == f"LogTime true\n{option} no\n"
