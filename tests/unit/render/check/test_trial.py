"""The tree in which daemons of Postfix are tried."""

import time
from pathlib import Path

import pytest

from dmsinit.render.check import trial
from dmsinit.render.check.mini_master import Attempt
from dmsinit.render.paths import Root

HALF_WRITTEN_SECONDS = 2
"""A younger file is read again by Postfix, which waits until it is older."""


def test_no_daemon_waits_until_a_file_is_older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    young: list[Path] = []

    class Master:
        def __init__(self, configuration: str, directory: str, *, owner: object) -> None:
            files = [path for path in Path(directory).parent.rglob("*") if path.is_file()]
            assert {path.name for path in files} == {"main.cf", "master.cf", "table"}
            young.extend(path for path in files if path.stat().st_mtime > time.time() - HALF_WRITTEN_SECONDS)

        def run(self, *_: object) -> list[Attempt]:
            return []

    monkeypatch.setattr(trial, "MiniMaster", Master)
    copy = trial.Copy(b"x y\n", -1, -1, 0o644)
    trial.attempt(
        trial.Texts("a = texthash:/etc/postfix/table\n", "", {"/etc/postfix/table": copy}),
        (),
        (),
        (),
        Root(str(tmp_path)),
    )
    assert young == []
