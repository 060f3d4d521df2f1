"""Files and links, written whole or not at all."""

import os
import time

import pytest

from dmsinit.base.atomic import correct, remove, replace_file, replace_link, write_file
from tests.unit.render.conftest import System


def test_no_file_is_ever_overwritten_in_place(system: System) -> None:
    path = str(system.write("/etc/a", "old"))
    with pytest.raises(FileExistsError):
        write_file(path, b"new", 0o644)
    link = f"{path}-link"
    os.symlink("/nowhere", link)
    with pytest.raises(FileExistsError):
        write_file(link, b"new", 0o644)


def test_time_of_a_new_file_is_in_the_past(system: System) -> None:
    path = system.path("/etc/a")
    write_file(str(path), b"x", 0o640)
    assert path.stat().st_mtime <= time.time() - 2  # Postfix would wait for a younger one
    assert path.stat().st_mode & 0o777 == 0o640


def test_replacing_leaves_nothing_behind(system: System) -> None:
    path = system.write("/etc/a", "old")
    system.write("/etc/a.dmsinit-new", "left by a run that died")
    before = path.stat().st_ino
    replace_file(str(path), b"new", mode=0o600)
    assert path.read_bytes() == b"new"
    assert path.stat().st_ino != before
    assert sorted(file.name for file in path.parent.iterdir()) == ["a", "group", "hosts", "passwd"]


def test_link_replaces_a_file_or_a_link(system: System) -> None:
    path = system.write("/etc/a", "old")
    for target in ("/x", "/y"):
        replace_link(str(path), target)
        assert os.readlink(path) == target


def test_link_does_not_replace_a_directory(system: System) -> None:
    with pytest.raises(OSError, match="directory"):
        replace_link(str(system.path("/etc")), "/x")
    assert not system.path("/etc.dmsinit-new").is_symlink()


def test_modes_are_corrected_and_missing_files_are_no_error_to_remove(system: System) -> None:
    path = system.write("/etc/a", "x", mode=0o777)
    correct(str(path), -1, -1, 0o600)
    assert path.stat().st_mode & 0o777 == 0o600
    remove(str(path))
    remove(str(path))
    assert not path.exists()
