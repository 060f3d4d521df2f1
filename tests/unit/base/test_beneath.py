"""Walking by descriptors: whose links are followed, and what nothing ever follows."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dmsinit.base import trees
from dmsinit.base.acting import acting_as
from dmsinit.base.beneath import Directory, Trust, behind, opened, owner_of, parent_of

ROOT = os.geteuid() == 0
OTHER = 4321
as_root = pytest.mark.parametrize("uid", [pytest.param(OTHER, id="another user")] if ROOT else [])


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A directory that others can write."""
    directory = tmp_path / "theirs"
    directory.mkdir()
    directory.chmod(0o777)
    return directory


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    directory = tmp_path / "ours"
    (directory / "inner").mkdir(parents=True)
    (directory / "file").write_text("ours")
    return directory


def refused(error: pytest.ExceptionInfo[OSError], place: Path) -> bool:
    return error.value.errno == errno.ELOOP and error.value.filename == str(place)


def test_links_in_directories_of_ours_are_followed(tmp_path: Path, ours: Path) -> None:
    (tmp_path / "absolute").symlink_to(ours)
    (tmp_path / "relative").symlink_to("ours/../absolute/inner/..")
    with opened(f"{tmp_path}/relative/inner") as directory:
        assert directory.path == f"{ours}/inner"
    (tmp_path / "end").symlink_to("relative/file")
    with behind(f"{tmp_path}/end") as (directory, name):
        assert directory.read(name) == b"ours"
    with parent_of(f"{tmp_path}/end") as (directory, name):
        assert directory.link(name) == "relative/file"


def test_links_where_others_can_write_are_refused(theirs: Path, ours: Path) -> None:
    (theirs / "link").symlink_to(ours)
    (theirs / "inner").mkdir()
    (theirs / "inner" / "link").symlink_to(ours / "file")
    with pytest.raises(OSError, match="another user may have made") as error, opened(f"{theirs}/link/inner"):
        pass
    assert refused(error, theirs / "link")
    with pytest.raises(OSError, match="another user may have made") as error, behind(f"{theirs}/inner/link"):
        pass
    assert refused(error, theirs / "inner" / "link")  # inner is ours, but they could put another in its place
    with opened(str(theirs)) as directory, pytest.raises(OSError, match="symbolic link") as error:
        directory.enter("link")
    assert refused(error, theirs / "link")


def test_in_a_sticky_directory_the_owner_of_the_link_counts(theirs: Path, ours: Path) -> None:
    theirs.chmod(0o1777)
    (theirs / "link").symlink_to(ours)
    with opened(f"{theirs}/link"):
        pass
    if ROOT:
        os.lchown(theirs / "link", OTHER, OTHER)
        with pytest.raises(OSError, match="another user may have made"), opened(f"{theirs}/link"):
            pass


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"), opened(f"{tmp_path}/a"):
        pass


def test_the_owner_of_a_volume_is_trusted_whatever_its_mode(theirs: Path, ours: Path) -> None:
    (theirs / "link").symlink_to(ours)
    with opened(f"{theirs}/link", owner_of(str(theirs))):
        pass


@as_root
def test_a_directory_in_a_volume_that_is_another_users_is_not_trusted(theirs: Path, ours: Path, uid: int) -> None:
    (theirs / "given").mkdir()
    (theirs / "given" / "link").symlink_to(ours)
    os.chown(theirs / "given", uid, uid)
    with (
        pytest.raises(OSError, match="another user may have made"),
        opened(f"{theirs}/given/link", owner_of(str(theirs))),
    ):
        pass


def test_missing_directories_are_made_on_the_way(tmp_path: Path) -> None:
    with opened(f"{tmp_path}/a/b", make=0o700) as directory:
        assert directory.path == f"{tmp_path}/a/b"
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    with pytest.raises(FileNotFoundError), opened(f"{tmp_path}/c/d"):
        pass


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Directory]:
    with opened(str(tmp_path)) as directory:
        yield directory


def test_only_regular_files_are_read_and_nothing_is_waited_for(place: Directory, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert place.read("absent") is None
    for name in ("pipe", "link", "."):
        with pytest.raises(OSError, match="not a regular file"):
            place.read(name)


def test_owner_and_mode_change_where_they_differ(place: Directory, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "file").chmod(0o644)
    assert place.own("file", -1, -1, 0o600)
    assert not place.own("file", os.getuid(), os.getgid(), 0o600)
    (tmp_path / "link").symlink_to("file")
    assert not place.own("link", -1, -1, 0o777)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


@as_root
def test_a_link_itself_gets_the_owner(place: Directory, tmp_path: Path, uid: int) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    assert place.own("link", uid, uid)
    assert (tmp_path / "link").lstat().st_uid == uid
    assert (tmp_path / "file").stat().st_uid == 0


@as_root
def test_a_file_with_another_name_keeps_owner_and_mode(place: Directory, tmp_path: Path, uid: int) -> None:
    (tmp_path / "secret").write_text("x")
    os.link(tmp_path / "secret", tmp_path / "hard")
    for wanted in ((uid, uid, -1), (-1, -1, 0o666)):
        with pytest.raises(OSError, match="2 names") as error:
            place.own("hard", *wanted)
        assert error.value.errno == errno.EMLINK
    status = (tmp_path / "secret").stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode) & 0o022) == (0, 0)


def test_a_new_file_never_takes_the_place_of_a_link(place: Directory, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    with pytest.raises(FileExistsError):
        place.create("link")
    assert not place.make("link")
    assert not (tmp_path / "target").exists()


# Trees


@as_root
def test_a_tree_gets_its_owner_and_nothing_outside_does(tmp_path: Path, ours: Path, uid: int) -> None:
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "mail").write_text("x")
    os.link(tree / "a" / "mail", tree / "a" / "copy")
    (tree / "a" / "elsewhere").symlink_to(ours)
    os.link(ours / "file", tree / "hard")
    (tree / "mounted").mkdir()
    (tree / "mounted" / "x").write_text("x")
    for quiet in (False, True):
        owning = trees.Owning(uid, uid, mounts={f"{tree}/mounted"}, quiet=quiet)
        with opened(str(tree)) as directory:
            owning.below(directory)
        assert (tree / "a" / "b").stat().st_uid == uid
        assert (tree / "a" / "elsewhere").lstat().st_uid == uid
        assert (tree / "mounted").stat().st_uid == (tree / "mounted" / "x").stat().st_uid == 0
        assert ours.stat().st_uid == (ours / "file").stat().st_uid == 0
        assert (tree / "a" / "mail").stat().st_uid == (uid if quiet else 0)
        assert len(owning.refused) == (1 if quiet else 2)
    assert f"{tree}/hard has 2 names" in owning.refused[0]


def test_a_tree_without_end_is_not_followed_to_it(tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    deep.mkdir()
    here = os.open(deep, os.O_RDONLY)
    for _ in range(trees.DEEPEST + 20):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    owning = trees.Owning(os.getuid(), os.getgid())
    with opened(str(tmp_path)) as directory:
        owning.entry(directory, "deep")
        assert "directories deep" in owning.refused[0]
        with pytest.raises(OSError, match="directories deep"):
            trees.remove(directory, "deep")


def test_removing_takes_links_and_not_what_they_lead_to(tmp_path: Path, ours: Path) -> None:
    (tmp_path / "tree" / "a").mkdir(parents=True)
    (tmp_path / "tree" / "a" / "link").symlink_to(ours)
    (tmp_path / "link").symlink_to(ours)
    with opened(str(tmp_path)) as directory:
        for name in ("tree", "link", "absent"):
            trees.remove(directory, name)
    assert [path.name for path in tmp_path.iterdir()] == ["ours"]
    assert (ours / "file").read_text() == "ours"


def test_a_copy_has_everything_but_sockets_and_files_of_others(tmp_path: Path, ours: Path) -> None:
    source = tmp_path / "source"
    (source / "a").mkdir(parents=True)
    (source / "a" / "file").write_text("x")
    (source / "a" / "file").chmod(0o640)
    os.utime(source / "a" / "file", (1, 1))
    (source / "link").symlink_to("/etc/passwd")
    os.mkfifo(source / "pipe", 0o600)
    (tmp_path / "target").mkdir()
    if ROOT:
        os.link(ours / "file", source / "hard")
        for path in (source, source / "a", source / "a" / "file"):
            os.chown(path, OTHER, OTHER)
    with opened(str(source)) as directory, opened(f"{tmp_path}/target") as target:
        left_out = list(trees.copy(directory, target))
    assert left_out == ([f"{source}/hard"] if ROOT else [])
    copied = (tmp_path / "target" / "a" / "file").stat()
    assert (stat.S_IMODE(copied.st_mode), copied.st_mtime) == (0o640, 1)
    assert copied.st_uid == (OTHER if ROOT else os.getuid())
    assert os.readlink(tmp_path / "target" / "link") == "/etc/passwd"
    assert stat.S_ISFIFO((tmp_path / "target" / "pipe").stat().st_mode)


# Acting as another user


@as_root
def test_acting_as_another_user_has_only_that_users_rights(uid: int) -> None:
    place = Path(os.path.realpath("/tmp"), f"acting-{os.getpid()}")
    place.mkdir()
    try:
        os.chown(place, uid, uid)
        groups = os.getgroups()
        with acting_as(uid, uid):
            (place / "made").mkdir()
            with pytest.raises(PermissionError):
                Path("/etc/made-by-a-test").mkdir()
        assert (os.geteuid(), os.getegid(), os.getgroups()) == (0, 0, groups)
        assert (place / "made").stat().st_uid == uid
    finally:
        trees_remove(place)


def trees_remove(path: Path) -> None:
    with parent_of(str(path)) as (directory, name):
        trees.remove(directory, name)


def test_groups_of_root_do_not_make_a_directory_another_users() -> None:
    trust = Trust(frozenset({0}))
    status = list(os.stat("/"))

    def alone(uid: int, gid: int, mode: int) -> bool:
        return trust.alone(os.stat_result([stat.S_IFDIR | mode, *status[1:4], uid, gid, *status[6:]]))

    assert alone(0, 0, 0o775)
    assert not alone(0, OTHER, 0o775)
    assert not alone(0, 0, 0o777)
    assert not alone(OTHER, 0, 0o700)
