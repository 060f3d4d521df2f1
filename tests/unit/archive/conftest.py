"""Volumes in a temporary directory."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

NAMES = ("config", "mail", "mail-state", "mail-logs")


def fill(root: Path, files: Mapping[str, str | bytes], *, mode: int = 0o600) -> None:
    """Write files below `root`; directories are made."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)


@pytest.fixture
def volumes(tmp_path: Path) -> dict[str, str]:
    """Four volumes with a little of what is in real ones."""
    paths = {name: tmp_path / "from" / name for name in NAMES}
    for path in paths.values():
        path.mkdir(parents=True)
    fill(paths["config"], {"postfix-accounts.cf": "anna@example.test|{SHA512-CRYPT}x\n", "opendkim/KeyTable": ""})
    box = "example.test/anna"
    fill(paths["mail"], {f"{box}/new/1.M1.mail": "Subject: new\n\n", f"{box}/cur/2.M2.mail:2,S": "Subject: seen\n\n"})
    (paths["mail"] / box / "tmp").mkdir()
    fill(paths["mail-state"], {"spool-postfix/deferred/A/ABC123": "queued"}, mode=0o700)
    fill(paths["mail-logs"], {"mail.log": "a line\n"})
    return {name: str(path) for name, path in paths.items()}


@pytest.fixture
def empty(tmp_path: Path) -> dict[str, str]:
    """Four empty volumes to restore into."""
    paths = {name: str(tmp_path / "to" / name) for name in NAMES}
    for path in paths.values():
        os.makedirs(path)
    return paths
