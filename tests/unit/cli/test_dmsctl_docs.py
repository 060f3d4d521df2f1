"""Every command is in the man page and in the completion."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from dmsinit.cli.dmsctl import main

ROOT = Path(__file__).parents[3]


def commands() -> set[str]:
    return set(main.VERBS)


@pytest.mark.parametrize("verb", main.VERBS)
def test_every_command_explains_its_arguments(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main.main([verb, "--help"])
    assert main.VERBS[verb] in " ".join(capsys.readouterr().out.split())


def test_a_command_imports_what_it_needs_and_no_other() -> None:
    """The health check runs every few seconds."""
    program = "import sys; from dmsinit.cli.dmsctl import main; main.module('health'); print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    ours = {name for name in done.stdout.split() if name.startswith("dmsinit.cli.dmsctl.")}
    assert ours == {f"dmsinit.cli.dmsctl.{name}" for name in ("command", "health", "main")}


def test_the_man_page_describes_every_command() -> None:
    page = (ROOT / "docs" / "man" / "dmsctl.8").read_text()
    heads = {word for line in page.splitlines() if line.startswith(".B") for word in re.findall(r"[a-z]+", line)}
    assert commands() <= heads


def test_the_completion_knows_every_command() -> None:
    text = (ROOT / "dmsinit" / "cli" / "completion").read_text()
    offered = re.search(r"''\) choices='([^']*)'", text)
    assert offered is not None
    assert set(offered[1].split()) - {"--help"} == commands()
