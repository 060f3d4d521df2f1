"""One writer at a time."""

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dmsinit.volume import lock
from dmsinit.volume.edit_accounts import add_account, has_account
from dmsinit.volume.errors import EditError
from dmsinit.volume.lock import exclusive, lock_file

HOLD = """
import sys
from pathlib import Path
from dmsinit.volume.lock import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    def write(writer: int) -> None:
        for number in range(8):
            add_account(tmp_path, f"u{writer}-{number}@x.test", "{PLAIN}x")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert all(has_account(tmp_path, f"u{writer}-{number}@x.test") for writer in range(4) for number in range(8))


def test_another_process_is_waited_for_and_told_of(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        told: list[str] = []

        def tell(text: str) -> None:
            told.append(text)
            holder.communicate()

        with exclusive(tmp_path, tell):
            assert holder.returncode == 0
        assert told == ["waiting for another setup command to finish"]


def test_a_missing_directory_is_made(tmp_path: Path) -> None:
    with exclusive(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()


def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EditError, match="mount the config volume there"), exclusive(tmp_path / "file"):
        pass


def test_without_flock_a_lock_file_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(_: int, __: int) -> None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with exclusive(tmp_path):
        assert (tmp_path / "setup.lock").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_holds_one_line_and_goes(tmp_path: Path) -> None:
    with lock_file(tmp_path, "delmailuser.lock"):
        assert len((tmp_path / "delmailuser.lock").read_text().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_lock_is_waited_for_and_a_stale_one_removed(tmp_path: Path) -> None:
    path = tmp_path / "delmailuser.lock"
    path.write_text("other\n")
    told: list[str] = []
    with lock_file(tmp_path, path.name, told.append, stale_seconds=0.2, retry_seconds=0.05):
        assert path.read_text() != "other\n"
    assert told[0] == f"Lock file '{path}' exists: another process or container holds it; waiting"
    assert told[-1].startswith(f"removing stale lock file '{path}'")


def test_a_lock_that_somebody_else_took_over_is_left(tmp_path: Path) -> None:
    with lock_file(tmp_path, "delmailuser.lock"):
        (tmp_path / "delmailuser.lock").write_text("other\n")
    assert (tmp_path / "delmailuser.lock").read_text() == "other\n"


def test_a_lock_is_kept_young_while_it_is_held(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with lock_file(tmp_path, path.name, stale_seconds=0.6):
        os.utime(path, (1, 1))
        deadline = time.monotonic() + 30
        while path.stat().st_mtime == 1:
            assert time.monotonic() < deadline, "the lock is not refreshed"
            time.sleep(0.02)
        path.write_text("other\n")
        os.utime(path, (1, 1))
        time.sleep(0.3)
        assert path.stat().st_mtime == 1, "a lock of somebody else's is refreshed"


def test_of_many_takers_one_has_the_lock(tmp_path: Path) -> None:
    """All find it stale at the same moment; each writes down that it is in, and that it leaves."""
    path, inside, most = tmp_path / "x.lock", [0], [0]
    start = threading.Barrier(8)

    def take(_: int) -> None:
        start.wait()
        with lock_file(tmp_path, path.name, stale_seconds=5, retry_seconds=0.01):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.01)
            inside[0] -= 1

    for _ in range(10):
        path.write_text("other\n")
        os.utime(path, (1, 1))
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(take, range(8)))
        assert most == [1]
        assert list(tmp_path.iterdir()) == []


def test_a_holder_that_comes_back_is_left_its_lock(tmp_path: Path) -> None:
    """It was suspended for a minute and refreshes its lock just before it is taken."""
    path = tmp_path / "x.lock"
    path.write_text("other\n")
    assert lock._take_over(path, "mine\n", 60) is None
    assert path.read_text() == "other\n"
