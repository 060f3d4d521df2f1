"""Going back to the files of before the last apply."""

import os

import pytest

from dmsinit.problem import ProblemsFound
from dmsinit.render.install import rollback
from dmsinit.render.install.install import Installer
from dmsinit.render.paths import PREVIOUS, RENDERED, STAGED
from dmsinit.render.stage import Stage
from tests.unit.render.conftest import System, dying_at_rename


def install(system: System, files: dict[str, str], *, links: dict[str, str] | None = None, fresh: bool = False) -> None:
    stage = Stage()
    for path, content in files.items():
        stage.add(path, content)
    stage.links.update(links or {})
    stage.write(system.root(STAGED))
    Installer(stage, system.root, fresh=fresh).install()


def test_created_modified_and_deleted_files_come_back(system: System) -> None:
    install(system, {"/etc/a": "a", "/etc/gone": "g", "/etc/same": "s"}, fresh=True)
    system.path("/etc/a").chmod(0o640)
    before = system.path("/etc/a").stat()
    install(system, {"/etc/a": "new", "/etc/new/b": "b", "/etc/same": "s"})
    assert not system.path("/etc/gone").exists()
    changes = rollback.roll_back(system.root)
    assert changes == {"/etc/a": "modify", "/etc/new/b": "delete", "/etc/gone": "create"}
    after = system.path("/etc/a").stat()
    assert (system.read("/etc/a"), system.read("/etc/gone")) == ("a", "g")
    assert (after.st_mode, after.st_mtime, after.st_uid) == (before.st_mode, before.st_mtime, before.st_uid)
    assert not system.path("/etc/new/b").exists()
    assert system.read(RENDERED + "/etc/a") == "a"


def test_links_come_back(system: System) -> None:
    install(system, {"/etc/a": "a"}, links={"/etc/link": "/old"}, fresh=True)
    install(system, {"/etc/a": "a"}, links={"/etc/link": "/new", "/etc/more": "/x"})
    rollback.roll_back(system.root)
    assert os.readlink(system.path("/etc/link")) == "/old"
    assert not os.path.lexists(system.path("/etc/more"))


def test_the_apply_that_was_taken_back_can_be_tried_again(system: System) -> None:
    install(system, {"/etc/a": "a"}, fresh=True)
    install(system, {"/etc/a": "bad"})
    rollback.roll_back(system.root)
    install(system, {"/etc/a": "good"})
    assert system.read("/etc/a") == "good"
    rollback.roll_back(system.root)
    assert system.read("/etc/a") == "a"


def test_a_change_by_hand_survives_a_roll_back(system: System) -> None:
    install(system, {"/etc/a": "1\n2\n3\n4\n5\n"}, fresh=True)
    system.write("/etc/a", "by hand\n1\n2\n3\n4\n5\n")
    install(system, {"/etc/a": "1\n2\n3\n4\nfive\n"})
    assert system.read("/etc/a") == "by hand\n1\n2\n3\n4\nfive\n"
    rollback.roll_back(system.root)
    assert system.read("/etc/a") == "by hand\n1\n2\n3\n4\n5\n"


def test_what_cannot_be_put_back_does_not_keep_the_rest(system: System) -> None:
    install(system, {"/etc/a/x": "x", "/etc/b": "b"}, fresh=True)
    install(system, {"/etc/a/x": "new", "/etc/b": "new"})
    system.path("/etc/a/x").unlink()
    system.path("/etc/a").rmdir()
    system.write("/etc/a", "a file where a directory was")
    with pytest.raises(ProblemsFound) as caught:
        rollback.roll_back(system.root)
    assert [problem.where for problem in caught.value.problems] == ["/etc/a/x"]
    assert system.read("/etc/b") == "b"


def test_there_is_nothing_to_go_back_to_after_a_start(system: System) -> None:
    install(system, {"/etc/a": "a"}, fresh=True)
    install(system, {"/etc/a": "b"})
    install(system, {"/etc/a": "c"}, fresh=True)
    with pytest.raises(ProblemsFound, match="no files of an earlier configuration"):
        rollback.roll_back(system.root)
    assert system.read("/etc/a") == "c"


def test_a_roll_back_that_died_is_run_again(system: System) -> None:
    install(system, {"/etc/a": "a", "/etc/b": "b"}, fresh=True)
    install(system, {"/etc/a": "new", "/etc/b": "new"})
    with dying_at_rename(1):
        rollback.roll_back(system.root)
    rollback.roll_back(system.root)
    assert (system.read("/etc/a"), system.read("/etc/b")) == ("a", "b")


def test_copies_are_private_and_cost_no_room(system: System) -> None:
    install(system, {"/etc/a": "a"}, fresh=True)
    inode = system.path("/etc/a").stat().st_ino
    install(system, {"/etc/a": "b"})
    assert system.path(PREVIOUS).stat().st_mode & 0o777 == 0o700
    assert system.path(f"{PREVIOUS}/files/etc/a").stat().st_ino == inode
