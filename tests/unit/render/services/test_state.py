"""Consolidation of service state (state.tsv)."""

import os
import stat

import pytest

from dmsinit.render.services.state import Folder, StateDirectory, consolidate, keep_new, note
from dmsinit.settings import load
from tests.unit.render.conftest import System

SETTINGS = load({}, fqdn="mail.example.test").settings
ROW = StateDirectory("/var/lib/thing", "lib-thing")


def mounted(system: System) -> System:
    system.path("/var/mail-state").mkdir(parents=True)
    return system


def run(system: System, *rows: StateDirectory) -> list[str]:
    return [str(warning) for warning in consolidate(SETTINGS, system.root, rows or (ROW,))]


def link(system: System) -> str:
    return os.readlink(system.path("/var/lib/thing"))


def test_without_the_mount_nothing_moves(system: System) -> None:
    system.write("/var/lib/thing/data", "x")
    assert run(system) == []
    assert not system.path("/var/lib/thing").is_symlink()


def test_first_start_moves_the_directory(system: System) -> None:
    mounted(system).write("/var/lib/thing/sub/data", "x", mode=0o640)
    os.mkfifo(system.path("/var/lib/thing/fifo"), 0o622)
    system.path("/var/lib/thing/link").symlink_to("sub/data")
    system.path("/var/lib/thing/sub").chmod(0o2730)
    os.utime(system.path("/var/lib/thing/sub/data"), (1000, 2000))
    assert run(system) == []
    assert link(system) == "/var/mail-state/lib-thing"
    state = system.path("/var/mail-state/lib-thing")
    assert (state / "sub/data").read_text() == "x"
    assert (state / "sub/data").stat().st_mtime == 2000
    assert stat.S_IMODE((state / "sub/data").stat().st_mode) == 0o640
    assert stat.S_IMODE((state / "sub").stat().st_mode) == 0o2730
    assert stat.S_ISFIFO((state / "fifo").stat().st_mode)
    assert os.readlink(state / "link") == "sub/data"
    assert [path.name for path in system.path("/var/mail-state").iterdir()] == ["lib-thing"]


def mount(system: System, *paths: str) -> None:
    lines = (f"36 35 98:0 /x {path} rw - ext4 /dev/root rw\n" for path in paths)
    system.write("/proc/self/mountinfo", "".join(lines))


@pytest.mark.parametrize("state_exists", [False, True])
def test_a_mount_of_the_users_own_stays_as_it_is(system: System, state_exists: bool) -> None:
    mounted(system).write("/var/lib/thing/data", "precious")
    mount(system, "/var/mail-state", "/var/lib/thing", "/var/lib/thing-else/sub")
    if state_exists:
        system.write("/var/mail-state/lib-thing/data", "former")
    before = system.tree()
    assert run(system) == []
    assert system.tree() == before


@pytest.mark.parametrize("state_exists", [False, True])
def test_what_is_mounted_in_a_directory_is_not_emptied(system: System, state_exists: bool) -> None:
    mounted(system).write("/var/lib/thing/sub/data", "precious")
    mount(system, "/var/lib/thing/sub")
    if state_exists:
        system.write("/var/mail-state/lib-thing/data", "former")
    before = system.tree()
    assert run(system) == [
        "/var/lib/thing: is not kept in /var/mail-state, because /var/lib/thing/sub in it is mounted; "
        "mount it as /var/mail-state/lib-thing/sub instead"
    ]
    assert system.tree() == before


def test_a_directory_on_a_mount_above_it_stays(system: System) -> None:
    mounted(system).write("/var/lib/thing/data", "precious")
    system.write("/var/mail-state/lib-thing/data", "former")
    mount(system, "/var/lib")
    before = system.tree()
    assert run(system) == []
    assert system.tree() == before


@pytest.mark.parametrize("inner", ["etc", "etc/ssl"])
def test_no_leftover_is_deleted_where_something_is_mounted(system: System, inner: str) -> None:
    row = StateDirectory("/var/lib/thing", "lib-thing", leftovers=("etc", "dev"))
    for name in ("etc/ssl/ca.pem", "dev/null"):
        system.write(f"/var/lib/thing/{name}", "x")
    mount(system, f"/var/lib/thing/{inner}")
    run(system, row)
    assert system.path("/var/lib/thing/etc/ssl/ca.pem").exists()
    assert not system.path("/var/lib/thing/dev").exists()


def test_a_directory_made_for_a_mount_gets_what_the_image_brings(system: System) -> None:
    mounted(system).write("/var/lib/thing/tmp/needed", "image")
    system.write("/var/lib/thing/sub/data", "image")
    system.write("/var/mail-state/lib-thing/sub/data", "precious")
    mount(system, "/var/mail-state/lib-thing/sub")
    assert run(system) == []
    state = system.path("/var/mail-state/lib-thing")
    assert (state / "tmp/needed").read_text() == "image"
    assert (state / "sub/data").read_text() == "precious"
    assert link(system) == "/var/mail-state/lib-thing"
    assert [path.name for path in system.path("/var/mail-state").iterdir()] == ["lib-thing"]


def test_second_start_changes_nothing(system: System) -> None:
    mounted(system).write("/var/lib/thing/data", "x")
    run(system)
    before = system.tree()
    assert run(system) == []
    assert system.tree() == before


def test_state_of_an_earlier_container_wins(system: System) -> None:
    mounted(system).write("/var/lib/thing/data", "from the image")
    system.write("/var/mail-state/lib-thing/data", "from the volume")
    assert run(system) == []
    assert link(system) == "/var/mail-state/lib-thing"
    assert system.read("/var/mail-state/lib-thing/data") == "from the volume"


def test_start_that_died_while_copying_is_repeated(system: System) -> None:
    mounted(system).write("/var/lib/thing/data", "x")
    system.write("/var/mail-state/lib-thing.dmsinit-copy/half", "x")
    assert run(system) == []
    assert [path.name for path in system.path("/var/mail-state/lib-thing").iterdir()] == ["data"]


def test_start_that_died_before_the_link_is_completed(system: System) -> None:
    mounted(system).write("/var/mail-state/lib-thing/data", "x")
    system.path("/var/lib").mkdir(parents=True)
    assert run(system) == []
    assert link(system) == "/var/mail-state/lib-thing"


def test_neither_is_told_and_works(system: System) -> None:
    mounted(system)
    assert len(run(system)) == 1
    assert link(system) == "/var/mail-state/lib-thing"
    assert system.path("/var/mail-state/lib-thing").is_dir()


def test_a_directory_that_no_package_brings_is_made(system: System) -> None:
    row = StateDirectory("/var/lib/thing", "lib-thing", mode=0o750)
    assert run(system, row) == []
    assert stat.S_IMODE(system.path("/var/lib/thing").stat().st_mode) == 0o750
    mounted(system)
    assert run(system, row) == run(system, row) == []
    assert link(system) == "/var/mail-state/lib-thing"
    assert stat.S_IMODE(system.path("/var/mail-state/lib-thing").stat().st_mode) == 0o750


def test_leftovers_are_deleted_at_every_start(system: System) -> None:
    row = StateDirectory("/var/lib/thing", "lib-thing", leftovers=("etc", "private/auth", "absent"))
    for name in ("etc/hosts", "private/auth", "private/smtp", "queue/1"):
        mounted_once(system).write(f"/var/mail-state/lib-thing/{name}", "x")
    run(system, row)
    state = system.path("/var/mail-state/lib-thing")
    assert sorted(str(p.relative_to(state)) for p in state.rglob("*") if p.is_file()) == ["private/smtp", "queue/1"]


def mounted_once(system: System) -> System:
    system.path("/var/mail-state").mkdir(parents=True, exist_ok=True)
    return system


def test_owners_and_modes_of_the_spool(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("maildrop/1", "public/x", "pid/master.pid", "active/2"):
        system.write(f"/var/spool/postfix/{name}", "x")
    uid = os.getuid()
    system.write("/etc/passwd", f"postfix:x:{uid}:1::/:/x\n")
    system.write("/etc/group", "postdrop:x:4242:\n")
    owned: dict[str, tuple[int, int]] = {}
    monkeypatch.setattr("dmsinit.render.services.state.os.geteuid", lambda: 0)
    monkeypatch.setattr(
        "dmsinit.base.beneath.os.chown", lambda path, uid, gid: owned.__setitem__(os.readlink(path), (uid, gid))
    )
    folders = (Folder("maildrop", "postfix", "postdrop", 0o730), Folder("public", "postfix", "postdrop", 0o710))
    spool = StateDirectory(
        "/var/spool/postfix", "spool-postfix", "postfix", "root", top=("root", "root"), folders=folders
    )
    assert run(system, spool) == []
    base = str(system.path("/var/spool/postfix"))
    assert owned[f"{base}/maildrop"] == owned[f"{base}/maildrop/1"] == (uid, 4242)
    assert stat.S_IMODE(os.stat(f"{base}/maildrop").st_mode) == 0o730
    assert stat.S_IMODE(os.stat(f"{base}/public").st_mode) == 0o710


def test_unwritable_state_volume_is_a_warning(system: System) -> None:
    system.write("/var/lib/thing/data", "x")
    mounted(system).write("/var/mail-state/lib-thing", "a file where a directory belongs")
    warnings = run(system)
    assert len(warnings) == 1
    assert "cannot be kept in /var/mail-state" in warnings[0]
    assert system.read("/var/lib/thing/data") == "x"


def test_what_came_since_the_start_is_kept_and_what_is_in_use_is_not_touched(system: System) -> None:
    mounted(system).write("/var/lib/thing/data", "x")
    new = StateDirectory("/var/lib/new", "lib-new", mode=0o700)
    assert keep_new(system.root, [ROW, new]) == []
    assert not system.path("/var/lib/new").exists()
    assert run(system) == []
    system.path("/var/lib/dmsinit").mkdir(parents=True)
    note(system.root, ["/var/lib/thing"])
    system.path("/var/lib/thing").unlink()
    system.write("/var/lib/thing/data", "y")
    assert keep_new(system.root, [ROW, new]) == keep_new(system.root, [ROW, new]) == []
    assert os.readlink(system.path("/var/lib/new")) == "/var/mail-state/lib-new"
    assert not system.path("/var/lib/thing").is_symlink()
