"""Scenes that need a process of their own: floods, storms of orphans, a user with too many processes."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

MIB = 1024 * 1024


def play(scene: str, directory: Path, *arguments: str) -> Any:
    """Play a scene of tests/support/lone.py; return its figures."""
    command = [sys.executable, "-m", "tests.support.lone", scene, str(directory), *arguments]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONASYNCIODEBUG"}  # which slows it
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr == "", done.stderr[-3000:]
    return json.loads(done.stdout)


def test_a_flood_neither_blocks_nor_grows(tmp_path: Path) -> None:
    """Bounds are generous: the aim is a fraction of each. Measured: 25 ms, 1 MiB, 9 % of a processor, 50 ms."""
    figures = play("flood", tmp_path, "4")
    assert figures["lag_seconds"] < 1
    assert figures["growth_bytes"] < 16 * MIB
    assert figures["processor_share"] < 0.6
    assert figures["back_seconds"] < 2
    for count in figures["read_bytes"].values():
        assert 1 * MIB < count <= (4 + 4 * 10) * MIB  # a burst, and 4 MiB a second
    assert max(figures["ring_lines"].values()) == 500
    assert figures["ring_characters"] < 500 * 4096
    assert max(figures["file_bytes"].values()) < 11 * MIB
    assert len(figures["file_bytes"]) <= 4 * 4


def test_a_burst_of_orphans(tmp_path: Path) -> None:
    """Ten thousand end in one moment: all are reaped, and no exit status of a child under watch is lost."""
    figures = play("orphans", tmp_path, "10000")
    assert figures["maker"] == 0
    assert figures["codes"] == list(range(100))
    assert figures["reaped"] == 10_000
    assert figures["left"] == 0
    assert figures["seconds"] < 20


def test_no_more_processes(public_path: Path) -> None:
    """Fork fails (EAGAIN): the service tells why, backs off, and runs as soon as it can."""
    figures = play("crowded", public_path, str(random.randrange(2_000_000, 3_000_000)))
    assert "cannot start second: Resource temporarily unavailable; the container's process limit" in figures["detail"]
    assert figures["starts"] > 1
