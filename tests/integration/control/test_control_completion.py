"""The completion of dmsctl, in a real bash that asks a real server for the names."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.integration.control.system import Site

COMPLETION = Path(__file__).parents[3] / "dmsinit" / "cli" / "completion"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("dmsctl re", {"restart", "reload", "render", "reexec", "restore"}),
        ("dmsctl restart op", {"opendkim"}),
        ("dmsctl restart ", {"all", "opendkim", "postfix", "clamav", "--wait", "--no-wait", "--json"}),
        ("dmsctl logs --f", {"--follow"}),
        ("dmsctl signal postfix U", {"USR1", "USR2"}),
        ("dmsctl queue re", {"release", "requeue"}),
        ("dmsctl queue delete -", {"--yes", "--json"}),
        ("dmsctl backup --", {"--force", "--json", "--logs", "--verify"}),
        ("dmsctl restore /etc/host", {"/etc/hostname", "/etc/hosts", "/etc/host.conf"}),
    ],
)
async def test_words_are_completed(site: Site, tmp_path: Path, line: str, expected: set[str]) -> None:
    front = tmp_path / "supervisorctl"
    front.write_text(f'#!/bin/sh\nexec {sys.executable} -I -m dmsinit.cli.supervisorctl.main "$@"\n')
    front.chmod(0o755)
    words = line.split(" ")
    script = f'source "$0"; COMP_WORDS=("$@"); COMP_CWORD={len(words) - 1}; _dmsctl; printf "%s\\n" "${{COMPREPLY[@]}}"'
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", script, str(COMPLETION), *words, stdout=asyncio.subprocess.PIPE,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "DMSINIT_SOCKET": str(site.path)},
    )  # fmt: skip
    output, _ = await process.communicate()
    assert set(output.decode().split()) == expected
