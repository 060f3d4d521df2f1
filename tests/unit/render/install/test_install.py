"""Installing: only differences, atomically, with users' changes kept."""

import errno
import os
from pathlib import Path

import pytest

from dmsinit.base.atomic import TEMPORARY_SUFFIX
from dmsinit.base.beneath import Directory
from dmsinit.problem import ProblemsFound
from dmsinit.render.install import journal
from dmsinit.render.install.install import Installer, Result
from dmsinit.render.paths import CONFLICTS, RENDERED, RENDERED_BEFORE, SPARE, STAGED, mount_points
from dmsinit.render.stage import Stage
from tests.unit.render.conftest import System, dying_at_rename

TEXT = "one\ntwo\nthree\nfour\nfive\nsix\nseven\n"


def installed(
    system: System, files: dict[str, str], *, fresh: bool = False, mounted: frozenset[str] = frozenset()
) -> Result:
    return installer(system, files, fresh=fresh, mounted=mounted).install()


def installer(
    system: System, files: dict[str, str], *, fresh: bool = False, mounted: frozenset[str] = frozenset()
) -> Installer:
    stage = Stage()
    for path, content in files.items():
        stage.add(path, content)
    stage.write(system.root(STAGED))
    return Installer(stage, system.root, fresh=fresh, mounted=mounted)


def test_first_installation_makes_everything(system: System) -> None:
    result = installed(system, {"/etc/a/b.conf": "b", "/etc/c": "c"}, fresh=True)
    assert result.changes == {"/etc/a/b.conf": "create", "/etc/c": "create"}
    assert (system.read("/etc/a/b.conf"), system.read("/etc/c")) == ("b", "c")
    assert system.read(RENDERED + "/etc/c") == "c"
    assert not system.path(STAGED).exists()


def test_second_installation_writes_nothing(system: System) -> None:
    files = {"/etc/a": "a", "/etc/b": "b"}
    for fresh in (True, False):
        installed(system, files, fresh=fresh)
    before = {path: entry for path, entry in system.tree().items() if "/var/lib/" not in path}
    for fresh in (True, False):
        assert installed(system, files, fresh=fresh).changes == {}
    after = {path: entry for path, entry in system.tree().items() if "/var/lib/" not in path}
    assert after == before


def test_the_tree_of_the_run_before_last_is_staged_in_again(system: System) -> None:
    for content in ("one", "two", "three"):
        assert installed(system, {"/etc/a": content, "/etc/b": "same"}).changes
    assert (system.read(RENDERED + "/etc/a"), system.read(RENDERED_BEFORE + "/etc/a")) == ("three", "two")
    assert system.read(STAGED + "/etc/a") == "one"
    assert not system.path(SPARE).exists()
    system.write(f"{SPARE}/etc/a", "left by a run that died between two renames")
    installed(system, {"/etc/a": "four", "/etc/b": "same"})
    assert system.read("/etc/a") == "four"
    assert system.read(STAGED + "/etc/a") == "two"


def test_change_is_installed_with_mode_and_settled_time(system: System) -> None:
    system.write("/etc/a", "old", mode=0o600)
    assert installed(system, {"/etc/a": "new"}, fresh=True).changes == {"/etc/a": "modify"}
    status = system.path("/etc/a").stat()
    assert status.st_mode & 0o777 == 0o644
    assert status.st_mtime < status.st_ctime - 2  # Postfix waits for files younger than two seconds


def test_each_of_several_changes_within_a_second_has_its_own_time(system: System) -> None:
    times = []
    for content in ("a", "b", "c", "d", "e"):
        installed(system, {"/etc/a": content})
        times.append(int(system.path("/etc/a").stat().st_mtime))  # Dovecot compares whole seconds and the size
    assert times == sorted(set(times))


def test_mode_is_repaired_without_a_change_of_content(system: System) -> None:
    installed(system, {"/etc/a": "a"}, fresh=True)
    system.path("/etc/a").chmod(0o600)
    assert installed(system, {"/etc/a": "a"}, fresh=True).changes == {}
    assert system.path("/etc/a").stat().st_mode & 0o777 == 0o644


def test_hand_made_change_survives_while_ours_stays_the_same(system: System) -> None:
    installed(system, {"/etc/a": TEXT}, fresh=True)
    system.write("/etc/a", "entirely different")
    assert installed(system, {"/etc/a": TEXT}).changes == {}
    assert system.read("/etc/a") == "entirely different"


def test_start_renders_anew_whatever_stands_there(system: System) -> None:
    installed(system, {"/etc/a": TEXT}, fresh=True)
    system.write("/etc/a", "entirely different")
    assert installed(system, {"/etc/a": TEXT}, fresh=True).changes == {"/etc/a": "modify"}
    assert system.read("/etc/a") == TEXT


def test_changes_of_both_sides_are_merged(system: System) -> None:
    installed(system, {"/etc/a": TEXT}, fresh=True)
    system.write("/etc/a", TEXT.replace("one", "by hand"))
    result = installed(system, {"/etc/a": TEXT.replace("seven", "by us")})
    assert result.changes == {"/etc/a": "modify"}
    assert result.warnings == []
    assert system.read("/etc/a") == TEXT.replace("one", "by hand").replace("seven", "by us")


@pytest.mark.parametrize(
    "patch", [b"caf\xe9 = \xff\n", b"a\r\nb\r\n", b"a\x00b\n", b"\xef\xbb\xbfa\n", b"\x0c\x85\xe2\x80\xa8\n"]
)
def test_what_was_patched_stays_byte_for_byte(system: System, patch: bytes) -> None:
    installed(system, {"/etc/a": TEXT}, fresh=True)
    system.path("/etc/a").write_bytes(patch + TEXT.encode())
    result = installed(system, {"/etc/a": TEXT.replace("seven", "by us")})
    assert result.warnings == []
    assert system.path("/etc/a").read_bytes() == patch + TEXT.replace("seven", "by us").encode()


def test_a_conflict_keeps_the_bytes_of_both(system: System) -> None:
    installed(system, {"/etc/a": TEXT}, fresh=True)
    by_hand = TEXT.encode().replace(b"four", b"by h\xe4nd\r")
    system.path("/etc/a").write_bytes(by_hand)
    installed(system, {"/etc/a": TEXT.replace("four", "by us")})
    assert system.path("/etc/a").read_bytes() == by_hand
    assert b"\nby h\xe4nd\r\n" in system.path(CONFLICTS + "/etc/a").read_bytes()


def test_a_file_that_cannot_be_deleted_is_reported_and_tried_again(system: System) -> None:
    installed(system, {"/etc/a": "a", "/etc/d/b": "b"}, fresh=True)
    real = Directory.unlink

    def busy(directory: Directory, name: str) -> None:
        if name == "b" and directory.path == str(system.path("/etc/d")):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), directory.place(name))  # as for a mount point
        real(directory, name)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Directory, "unlink", busy)
        for _ in range(2):
            result = installed(system, {"/etc/a": "a"})
            assert result.changes == {}
            assert [(warning.where, "cannot be deleted" in warning.cause) for warning in result.warnings] == [
                ("/etc/d/b", True)
            ]
    assert installed(system, {"/etc/a": "a"}).changes == {"/etc/d/b": "delete"}
    assert not system.path("/etc/d/b").exists()


def test_conflict_leaves_the_file_and_shows_both_versions_each_time(system: System) -> None:
    installed(system, {"/etc/a": TEXT}, fresh=True)
    system.write("/etc/a", TEXT.replace("four", "by hand"))
    for _ in range(2):
        result = installed(system, {"/etc/a": TEXT.replace("four", "by us")})
        assert result.changes == {}
        assert [warning.where for warning in result.warnings] == ["/etc/a"]
        assert "by hand" in system.read("/etc/a")
        conflict = system.read(CONFLICTS + "/etc/a")
        assert "<<<<<<< installed\nby hand\n" in conflict
        assert "by us\n>>>>>>> rendered now\n" in conflict
    system.write("/etc/a", TEXT)
    assert installed(system, {"/etc/a": TEXT.replace("four", "by us")}).changes == {"/etc/a": "modify"}
    assert not system.path(CONFLICTS).exists()


def test_file_that_is_no_longer_rendered_is_deleted(system: System) -> None:
    installed(system, {"/etc/a": "a", "/etc/b": "b"}, fresh=True)
    assert installed(system, {"/etc/a": "a"}).changes == {"/etc/b": "delete"}
    assert not system.path("/etc/b").exists()
    journal.forget(system.root)
    assert installed(system, {"/etc/a": "a"}).changes == {}


def test_file_that_is_no_longer_rendered_but_was_changed_stays(system: System) -> None:
    installed(system, {"/etc/a": "a", "/etc/b": "b"}, fresh=True)
    system.write("/etc/b", "by hand")
    result = installed(system, {"/etc/a": "a"})
    assert result.changes == {}
    assert [warning.where for warning in result.warnings] == ["/etc/b"]
    assert system.read("/etc/b") == "by hand"


def test_preview_changes_nothing(system: System) -> None:
    installed(system, {"/etc/a": "a", "/etc/b": "b"}, fresh=True)
    run = installer(system, {"/etc/a": "new", "/etc/c": "c"})
    before = system.tree()
    assert run.preview().changes == {"/etc/a": "modify", "/etc/c": "create", "/etc/b": "delete"}
    assert system.tree() == before


def test_crash_before_the_first_rename_leaves_everything_and_the_next_run_completes(system: System) -> None:
    installed(system, {"/etc/a": "a", "/etc/b": "b"}, fresh=True)
    with dying_at_rename(0):
        installed(system, {"/etc/a": "new", "/etc/b": "new"})
    assert (system.read("/etc/a"), system.read("/etc/b")) == ("a", "b")
    assert system.path("/etc/a" + TEMPORARY_SUFFIX).exists()
    result = installed(system, {"/etc/a": "new", "/etc/b": "new"})
    assert result.changes == {"/etc/a": "modify", "/etc/b": "modify"}
    assert (system.read("/etc/a"), system.read("/etc/b")) == ("new", "new")
    assert not system.path("/etc/a" + TEMPORARY_SUFFIX).exists()


@pytest.mark.parametrize("survivors", [3, 4, 5])  # the first two are the record's for a roll-back and the journal's
def test_crash_at_any_rename_leaves_whole_files(system: System, survivors: int) -> None:
    installed(system, {"/etc/a": "a", "/etc/b": "b"}, fresh=True)
    with dying_at_rename(survivors):
        installed(system, {"/etc/a": "new", "/etc/b": "new"})
    assert system.read("/etc/a") == "new"
    assert system.read("/etc/b") == ("b" if survivors == 3 else "new")
    result = installed(system, {"/etc/a": "new", "/etc/b": "new"})
    assert result.warnings == []
    assert (system.read("/etc/a"), system.read("/etc/b")) == ("new", "new")
    # The daemons of both files still have to hear of them: nobody was told before.
    assert result.changes == {"/etc/a": "modify", "/etc/b": "modify"}
    journal.forget(system.root)
    assert installed(system, {"/etc/a": "new", "/etc/b": "new"}).changes == {}


def test_what_cannot_be_written_changes_nothing(system: System) -> None:
    installed(system, {"/etc/a": "a"}, fresh=True)
    system.write("/etc/d", "a file where a directory is needed")
    with pytest.raises(ProblemsFound) as caught:
        installed(system, {"/etc/a": "new", "/etc/d/e": "e"})
    assert caught.value.problems[0].where == "/etc/d"
    assert system.read("/etc/a") == "a"
    assert not system.path("/etc/a" + TEMPORARY_SUFFIX).exists()


def test_mounted_file_is_left_alone_with_a_warning(system: System) -> None:
    system.write("/etc/a", "mounted")
    result = installed(system, {"/etc/a": "ours"}, fresh=True, mounted=frozenset({"/etc/a"}))
    assert result.changes == {}
    assert [warning.where for warning in result.warnings] == ["/etc/a"]
    assert system.read("/etc/a") == "mounted"
    assert system.read(RENDERED + "/etc/a") == "ours"


def test_target_that_cannot_be_replaced_is_left_alone_with_a_warning(system: System) -> None:
    system.path("/etc/a").mkdir()
    result = installed(system, {"/etc/a": "ours", "/etc/b": "b"}, fresh=True)
    assert result.changes == {"/etc/b": "create"}
    assert [warning.where for warning in result.warnings] == ["/etc/a"]
    assert sorted(path.name for path in system.path("/etc").iterdir() if "dmsinit" in path.name) == []


def test_links_and_directories(system: System) -> None:
    for expected in ({"/etc/ssl/x.pem": "create"}, {}):
        stage = Stage(links={"/etc/ssl/x.pem": "/etc/dms/x.pem"})
        stage.add_directory("/var/spool/x", mode=0o750)
        stage.write(system.root(STAGED))
        assert Installer(stage, system.root, fresh=False).install().changes == expected
    assert os.readlink(system.path("/etc/ssl/x.pem")) == "/etc/dms/x.pem"
    assert system.path("/var/spool/x").stat().st_mode & 0o777 == 0o750


def test_unknown_owner_is_a_warning(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dmsinit.render.install.install.os.geteuid", lambda: 0)
    monkeypatch.setattr("dmsinit.base.atomic.os.fchown", lambda fd, uid, gid: None)
    stage = Stage()
    stage.add("/etc/a", "a", owner="nobody-knows")
    stage.write(system.root(STAGED))
    result = Installer(stage, system.root, fresh=True).install()
    assert "should belong to nobody-knows" in result.warnings[0].cause
    assert system.read("/etc/a") == "a"


def test_mount_points_are_those_of_the_kernel(system: System) -> None:
    line = "36 35 98:0 /x {} rw - ext4 /dev/root rw\n"
    system.write("/proc/self/mountinfo", line.format("/etc/hosts") + line.format("/etc/with\\040blank"))
    assert mount_points(system.root) == {"/etc/hosts", "/etc/with blank"}


def test_leftover_of_a_run_that_died_between_two_renames(system: System) -> None:
    installed(system, {"/etc/a": TEXT}, fresh=True)
    os.rename(system.path(RENDERED), Path(f"{system.path(RENDERED)}.old"))
    system.write("/etc/a", "by hand")
    assert installed(system, {"/etc/a": TEXT}).changes == {}
    assert system.read("/etc/a") == "by hand"
