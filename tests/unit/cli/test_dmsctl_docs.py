"""Every command is in the man page and in the completion."""

import argparse
import re
from pathlib import Path

from dmsinit.cli import dmsctl

ROOT = Path(__file__).parents[3]


def commands() -> set[str]:
    parser = dmsctl._parser()
    (subparsers,) = (one for one in parser._actions if isinstance(one, argparse._SubParsersAction))
    return set(subparsers.choices)


def test_the_man_page_describes_every_command() -> None:
    page = (ROOT / "docs" / "man" / "dmsctl.8").read_text()
    heads = {word for line in page.splitlines() if line.startswith(".B") for word in re.findall(r"[a-z]+", line)}
    assert commands() <= heads


def test_the_completion_knows_every_command() -> None:
    text = (ROOT / "dmsinit" / "cli" / "completion").read_text()
    offered = re.search(r"''\) choices='([^']*)'", text)
    assert offered is not None
    assert set(offered[1].split()) - {"--help"} == commands()
