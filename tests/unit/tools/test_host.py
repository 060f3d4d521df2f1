"""tools/host: what the machine needs is found, named in one sentence, and installed where that is possible."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[3] / "tools" / "host"
LIST = """# purpose package proofs
tests here sh
tests nobody-has-it no-such-program /no/such/file
tests nobody-has-it module:no_such_module
other elsewhere no-such-either
"""


@pytest.fixture
def packages() -> Iterator[Path]:
    """A list beside a copy of the tool, in a folder that everybody can read."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        shutil.copy(TOOL, folder)
        path = Path(folder, "packages")
        path.write_text(LIST)
        yield path


def run(packages: Path, *arguments: str, user: int = 0, path: str = os.defpath) -> tuple[int, list[str]]:
    """Return the exit code and the lines that tools/host prints."""
    environ = {"HOST_PACKAGES": str(packages), "PATH": path}
    done = subprocess.run(
        ["bash", packages.parent / "host", *arguments], user=user, env=environ, capture_output=True, text=True
    )
    return done.returncode, (done.stdout + done.stderr).splitlines()


def test_what_is_there_costs_no_word(packages: Path) -> None:
    packages.write_text("tests a sh\ntests b /no/such/file /bin/sh module:json\n")
    assert run(packages, "tests") == (0, [])
    assert run(packages, "--check", "tests") == (0, [])


def test_one_sentence_names_all_that_is_missing(packages: Path) -> None:
    sentence = (
        "host: cannot find no-such-program, module:no_such_module; run tools/host tests as root, "
        "or install the packages that Debian calls nobody-has-it"
    )
    assert run(packages, "--check", "tests") == (1, [sentence])


def test_nothing_is_installed_without_rights_or_apt(packages: Path) -> None:
    sentence = (
        "host: cannot find no-such-either; run this as root on Debian or Ubuntu, "
        "or install the packages that Debian calls elsewhere"
    )
    assert run(packages, "other", user=65534) == (1, [sentence])
    assert run(packages, "tests", user=65534)[1][0].endswith("run them as root")


def test_what_apt_cannot_install_is_said(packages: Path, tmp_path: Path) -> None:
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "apt-get").write_text("#!/bin/sh\necho E: Unable to locate package elsewhere\n[ $1 = update ]\n")
    (fake / "apt-get").chmod(0o755)
    code, lines = run(packages, "other", path=f"{fake}:{os.defpath}")
    assert code == 1
    assert "E: Unable to locate package elsewhere" in lines
    assert lines[-1] == (
        "host: cannot install elsewhere: apt-get failed with the output above; "
        "correct its cause, or install them yourself"
    )


def test_a_list_that_cannot_be_read_is_not_an_empty_one(packages: Path) -> None:
    packages.unlink()
    code, lines = run(packages, "tests")
    assert (code, len(lines)) == (1, 1)
    assert lines[0].startswith(f"host: cannot read {packages}")
