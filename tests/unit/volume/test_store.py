"""Files are replaced whole, or stay as they were."""

import errno
import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dmsinit.base.beneath import Directory
from dmsinit.volume import store
from dmsinit.volume.errors import EditError


@contextmanager
def small_disk(limit_bytes: int) -> Iterator[None]:
    """Let every file of this process end at a size, which a write feels as it feels a full disk."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


def refuse_rename(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer as the kernel does when the target is a mount point."""

    def busy(*_: object) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    monkeypatch.setattr(Directory, "rename", busy)


def test_mode_stays_and_nothing_is_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)
    inode = path.stat().st_ino
    store.replace(path, b"new content", new_mode=0o600)
    assert path.read_bytes() == b"new content"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.stat().st_ino != inode
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_gets_its_mode_and_the_owner_of_its_directory(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(tmp_path, 1234, 1235)
    store.replace(tmp_path / "file", b"x", new_mode=0o600)
    found = (tmp_path / "file").stat()
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert (found.st_uid, found.st_gid) == (tmp_path.stat().st_uid, tmp_path.stat().st_gid)


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    store.replace(tmp_path / "link", b"x", new_mode=0o644)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"x"


def test_a_mounted_file_is_written_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a long old content")
    inode = path.stat().st_ino
    refuse_rename(monkeypatch)
    store.replace(path, b"short", new_mode=0o644)
    assert path.read_bytes() == b"short"
    assert path.stat().st_ino == inode
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mounted", [False, True])
def test_a_full_disk_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounted: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old content")
    data = b"new" * 10_000
    if mounted:
        refuse_rename(monkeypatch)
        # The temporary file fits, the file itself is the one that cannot grow.
        monkeypatch.setattr(store, "_write_new", lambda *_: None)
    with small_disk(4096), pytest.raises(EditError, match=r"cannot change .*File too large; nothing was changed"):
        store.replace(path, data, new_mode=0o644)
    assert path.read_bytes() == b"old content"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EditError, match="cannot read"):
        store.load(tmp_path)
    with pytest.raises(EditError, match="No such file or directory"):
        store.replace(tmp_path / "missing" / "file", b"x", new_mode=0o644)
