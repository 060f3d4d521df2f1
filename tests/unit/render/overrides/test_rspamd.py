"""What the config volume says about Rspamd: overrides, commands, keys."""

from pathlib import Path

import pytest

from dmsinit.render.inputs.context import Inputs, gather
from dmsinit.render.overrides import rspamd
from dmsinit.render.stage import Stage
from tests.unit.render.conftest import System

OVERRIDE = "/etc/rspamd/override.d"


def inputs(system: System, **environ: str) -> Inputs:
    return gather(system.root, {"ENABLE_RSPAMD": "1", **environ})


def staged(system: System, **environ: str) -> tuple[Stage, list[str]]:
    stage = Stage()
    problems, warnings = rspamd.apply(stage, inputs(system, **environ), system.root)
    assert problems == []
    return stage, [str(warning) for warning in warnings]


def test_overrides_are_installed_for_rspamd_alone(system: System) -> None:
    system.volume("rspamd/override.d/a.conf", "x = 1;\r\n")
    system.volume("rspamd/override.d/deeper/b.conf", "not flat")
    stage, warnings = staged(system)
    assert list(stage.files) == [f"{OVERRIDE}/a.conf"]
    file = stage.files[f"{OVERRIDE}/a.conf"]
    assert (file.content, file.group, file.mode) == (b"x = 1;\n", "_rspamd", 0o640)
    assert file.source(1) == "rspamd/override.d/a.conf:1"
    assert warnings == []
    assert staged(system, ENABLE_RSPAMD="0")[0].files == {}


def test_commands_come_after_the_files(system: System) -> None:
    system.volume("rspamd/override.d/m.conf", "opt = 1;\n")
    system.volume("rspamd/custom-commands.conf", "set-option-for-module m opt 2\nfrobnicate\n")
    stage, warnings = staged(system)
    assert stage.files[f"{OVERRIDE}/m.conf"].content == b"opt = 2;\n"
    assert len(warnings) == 1
    assert warnings[0].startswith("rspamd/custom-commands.conf:2: is not a command: frobnicate")


def test_the_former_name_is_told(system: System) -> None:
    system.volume("rspamd-modules.conf", "disable-module m\n")
    stage, warnings = staged(system)
    assert stage.files == {}
    assert "rename it to rspamd/custom-commands.conf" in warnings[0]


def test_a_changed_key_is_a_changed_file(system: System) -> None:
    assert rspamd.KEYS_IN_USE not in staged(system)[0].files
    key = system.volume("rspamd/dkim/k.private.txt", "1")
    before = staged(system)[0].files[rspamd.KEYS_IN_USE].content
    key.write_text("2")
    assert staged(system)[0].files[rspamd.KEYS_IN_USE].content != before


@pytest.mark.parametrize("line", ['path = "/missing/key";', "  path: /missing/key"])
def test_a_key_that_is_not_there_is_told(system: System, line: str) -> None:
    system.volume("rspamd/override.d/dkim_signing.conf", f"domain {{ x.test {{\n{line}\n}} }}\n")
    assert "the key /missing/key does not exist" in staged(system)[1][0]


def test_a_key_that_rspamd_cannot_read_is_told(system: System) -> None:
    system.write("/keys/secret", "key", mode=0o600)
    system.write("/keys/open", "key", mode=0o644)
    system.volume(
        "rspamd/override.d/dkim_signing.conf", 'path = "/keys/secret";\npath = "/keys/open";\npath = "/k/$domain";'
    )
    _, warnings = staged(system)
    assert len(warnings) == 1
    assert "_rspamd cannot read the key /keys/secret" in warnings[0]


def test_keys_become_those_of_rspamd(system: System, tmp_path: Path) -> None:
    path = system.volume("rspamd/dkim/k.private.txt", "1")
    path.chmod(0o000)
    owner = f"{path.stat().st_uid}:{path.stat().st_gid}"
    system.write("/etc/passwd", f"_rspamd:x:{owner}::/:/bin/false\n")
    system.write("/etc/group", f"_rspamd:x:{path.stat().st_gid}:\n")
    settings = inputs(system).settings
    assert rspamd.own_keys(settings, system.root) == []
