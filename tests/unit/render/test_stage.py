"""The staged tree."""

from dmsinit.render.paths import STAGED
from dmsinit.render.stage import Origin, Stage, StagedFile
from tests.unit.render.conftest import System


def test_staged_tree_is_fresh_and_private(system: System) -> None:
    system.write(f"{STAGED}/etc/leftover", "x")
    stage = Stage()
    stage.add("/etc/a/secret", "x")
    stage.write(system.root(STAGED))
    assert system.path(STAGED).stat().st_mode & 0o777 == 0o700
    assert system.path(f"{STAGED}/etc/a/secret").stat().st_mode & 0o777 == 0o600
    assert not system.path(f"{STAGED}/etc/leftover").exists()


def test_what_an_earlier_run_has_staged_is_written_only_where_it_differs(system: System) -> None:
    stage = Stage()
    for name, content in (("same", "x"), ("other", "new"), ("file/inner", "x"), ("directory", "x"), ("link", "x")):
        stage.add(f"/etc/{name}", content)
    for name, content in (("same", "x"), ("other", "old"), ("file", "x"), ("directory/inner", "x"), ("gone/x", "x")):
        system.write(f"{STAGED}/etc/{name}", content)
    system.path(f"{STAGED}/etc/link").symlink_to("same")
    system.path(f"{STAGED}/etc/broken").symlink_to("nowhere")
    kept = system.path(f"{STAGED}/etc/same").stat().st_ino
    stage.write(system.root(STAGED))
    staged = f"{system.directory}{STAGED}"
    assert {path.removeprefix(staged) for path in system.tree() if path.startswith(staged)} == stage.files.keys()
    for path, file in stage.files.items():
        assert system.read(STAGED + path) == file.content.decode()
    assert not system.path(f"{STAGED}/etc/link").is_symlink()
    assert system.path(f"{STAGED}/etc/same").stat().st_ino == kept


def test_validators_see_installed_files_that_nothing_renders(system: System) -> None:
    system.write("/etc/dovecot/conf.d/99-user.conf", "x")
    system.write("/etc/dovecot/conf.d/10-ours.conf", "old")
    stage = Stage()
    stage.add("/etc/dovecot/conf.d/10-ours.conf", "new")
    stage.write(system.root(STAGED))
    stage.complete(system.root(STAGED), system.root)
    assert system.read(f"{STAGED}/etc/dovecot/conf.d/99-user.conf") == "x"
    assert system.read(f"{STAGED}/etc/dovecot/conf.d/10-ours.conf") == "new"
    assert not system.path(f"{STAGED}/etc/postfix").exists()


def test_lines_lead_to_the_users_file() -> None:
    copied = StagedFile("/etc/dovecot/local.conf", b"", origin=Origin(1, "dovecot.cf"))
    assert (copied.source(), copied.source(7)) == ("dovecot.cf", "dovecot.cf:7")
    merged = StagedFile("/etc/postfix/main.cf", b"", origin=Origin(100, "postfix-main.cf"))
    assert merged.source(99) == "/etc/postfix/main.cf:99"
    assert merged.source(103) == "postfix-main.cf:4"
    assert merged.source() == "/etc/postfix/main.cf"


def test_bytes_that_are_no_text_survive() -> None:
    stage = Stage()
    text = b"latin \xe9\n".decode("utf-8", "surrogateescape")
    assert stage.add("/etc/a", text).content == b"latin \xe9\n"
