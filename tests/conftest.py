"""What holds for all tests: what they need of this machine is checked before the first one, against one list."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import hypothesis
import pytest

from tests.support.side_by_side import FileByFile, rank, turn

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


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FileByFile:
    return FileByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=rank)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    with turn(item):
        return (yield)


@pytest.fixture
def public_path() -> Iterator[Path]:
    """Yield a directory that every user may use; the parents of `tmp_path` are for root alone."""
    with tempfile.TemporaryDirectory(prefix="dmsinit-test-") as path:
        Path(path).chmod(0o777)
        yield Path(path)


def _require_listed(event: str, arguments: tuple[Any, ...]) -> None:
    """Let a test fail that calls a program of this machine which tools/host-packages does not list."""
    if event != "subprocess.Popen" or "PYTEST_CURRENT_TEST" not in os.environ:
        return  # what is no test's: pytest-xdist asks uname(1) for the processor
    program, _, _, environ = arguments
    program = os.fsdecode(program)
    if "/" in program or program in LISTED | {"docker"}:
        return
    found = shutil.which(program, path=(os.environ if environ is None else environ).get("PATH"))
    if not str(found).startswith(tempfile.gettempdir()):  # where a test puts programs of its own
        raise AssertionError(f"a test calls {program}: add it to tools/host-packages, with its package")
