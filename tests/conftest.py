"""What holds for all tests: what they need of this machine is checked before the first one, against one list."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import hypothesis
import pytest

# How long an example takes says how busy the machine is, and nothing of the code: a test has its own limit.
hypothesis.settings.register_profile(
    "busy-machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy-machine")

# A shell without job control starts what runs in the background with SIGINT ignored, and children inherit that; the
# commands under test must see it as on a terminal.
signal.signal(signal.SIGINT, signal.default_int_handler)

TOOLS: Final = Path(__file__).resolve().parents[1] / "tools"
LISTED: Final = {
    proof
    for line in (TOOLS / "host-packages").read_text().splitlines()
    if not line.startswith("#")
    for proof in line.split()[2:]
}


def pytest_configure() -> None:
    """Refuse to start where a program is missing: one sentence instead of an error in each test that calls it."""
    checked = subprocess.run([TOOLS / "host", "--check", "tests"], capture_output=True, text=True)
    if checked.returncode:
        raise pytest.UsageError(checked.stderr.strip().removeprefix("host: "))
    sys.addaudithook(_require_listed)


def _require_listed(event: str, arguments: tuple[Any, ...]) -> None:
    """Let a test fail that calls a program of this machine which tools/host-packages does not list."""
    if event != "subprocess.Popen":
        return
    program, _, _, environ = arguments
    program = os.fsdecode(program)
    if "/" in program or program in LISTED | {"docker"}:
        return
    found = shutil.which(program, path=(os.environ if environ is None else environ).get("PATH"))
    if not str(found).startswith(tempfile.gettempdir()):  # where a test puts programs of its own
        raise AssertionError(f"a test calls {program}: add it to tools/host-packages, with its package")
