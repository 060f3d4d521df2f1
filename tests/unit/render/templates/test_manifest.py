"""templates/manifest.toml."""

import pytest

from dmsinit.problem import ProblemsFound
from dmsinit.render.templates.manifest import NAME, Entry, holds, read, truth
from tests.unit.render.conftest import System


def test_without_a_file_all_is_the_default(system: System) -> None:
    assert read(system.root).of("/etc/a") == Entry()


def test_own_entry_comes_before_patterns(system: System) -> None:
    system.write(
        NAME, '["/etc/x/*"]\nowner = "x"\n["/etc/x/a"]\nmode = "0640"\nwhen = "{{ 1 }}"\n["/etc/d/"]\nmode="0700"'
    )
    manifest = read(system.root)
    assert manifest.of("/etc/x/a") == Entry(mode=0o640, when="{{ 1 }}")
    assert manifest.of("/etc/x/b") == Entry(owner="x")
    assert manifest.of("/etc/y") == Entry()
    assert manifest.directories() == [("/etc/d", Entry(mode=0o700))]
    assert manifest.conditions() == ["{{ 1 }}"]


def test_all_errors_at_once(system: System) -> None:
    system.write(NAME, '["/a"]\nmod = "0640"\n["/b"]\nmode = "abc"\n["/c"]\nmode = 416\n')
    with pytest.raises(ProblemsFound) as caught:
        read(system.root)
    assert [problem.cause[:2] for problem in caught.value.problems] == ["/a", "/b", "/c"]


def test_no_toml(system: System) -> None:
    system.write(NAME, "[")
    with pytest.raises(ProblemsFound, match="is not TOML"):
        read(system.root)


@pytest.mark.parametrize(
    ("text", "expected"), [("True", True), ("1", True), (" yes ", True), ("", False), ("no", False)]
)
def test_truth(text: str, expected: bool) -> None:
    assert truth(text) is expected
    assert holds(Entry(when="{{ x }}"), {}, lambda _: text) is expected
    assert holds(Entry(), {}, lambda _: "never asked")


def test_files_follow_their_service() -> None:
    enabled = {"on": True, "off": False}
    held = {name: holds(Entry(service=name), enabled, str) for name in ("on", "off", "unknown")}
    assert held == {"on": True, "off": False, "unknown": False}
    assert [holds(Entry(without=name), enabled, str) for name in ("on", "off")] == [False, True]
    assert not holds(Entry(service="on", when="0"), enabled, str)
