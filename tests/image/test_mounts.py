"""What is mounted in a way that does not work as it looks: said, and never lost silently."""

import os
from pathlib import Path

import pytest

from tests.image.harness import CONFIG, DOMAIN, HOSTNAME, Containers, Server, account

ANNA, BOB = f"anna@{DOMAIN}", f"bob@{DOMAIN}"
STALE = "is mounted by itself and was replaced on the host since"


@pytest.fixture(scope="module")
def mounted(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server whose accounts are a mounted file, and for which an engine made directories of missing files."""
    base = tmp_path_factory.mktemp("mounts")
    accounts = base / "accounts"
    accounts.write_text(account(ANNA))
    for name in ("postfix-main.cf", "postfix-aliases.cf", "user-patches.sh", "dovecot.cf"):
        (base / "config" / name).mkdir(parents=True)
    mailbox = base / "mail" / DOMAIN / "anna"
    mailbox.mkdir(parents=True)
    (mailbox / ".dovecot.sieve").write_text("keep;\n")
    for path in (base / "mail", mailbox.parent, mailbox, mailbox / ".dovecot.sieve"):
        os.chown(path, 5000, 5000)
    options = ["--volume", f"{accounts}:{CONFIG}/postfix-accounts.cf", "--volume", f"{base / 'mail'}:/var/mail"]
    environment = {"ENABLE_AMAVIS": "0"}
    server = containers.start({}, base / "config", environment=environment, options=options).wait_until_up()
    (base / "new").write_text(account(ANNA) + account(BOB))
    (base / "new").rename(accounts)
    return server


def test_a_directory_where_a_file_belongs_is_a_warning(mounted: Server) -> None:
    log = mounted.log()
    for name in ("postfix-main.cf", "postfix-aliases.cf", "user-patches.sh", "dovecot.cf"):
        assert log.count(f"{name}: is a directory where a file belongs; it is ignored") == 1


def test_a_script_that_was_moved_is_named_with_both_paths(mounted: Server) -> None:
    place = f"/var/mail/{DOMAIN}/anna"
    assert (
        f"{place}/.dovecot.sieve: was moved to {place}/home/.dovecot.sieve, where Dovecot looks for it" in mounted.log()
    )
    assert mounted.checked("cat", f"{place}/home/.dovecot.sieve") == "keep;\n"


def test_a_mounted_file_that_was_replaced_is_reported_when_it_happens(mounted: Server) -> None:
    mounted.wait_for_log(f"postfix-accounts.cf: {STALE}")
    assert f"{CONFIG}/postfix-accounts.cf {STALE}" in mounted.run("dmsctl", "doctor").output


def test_setup_refuses_to_write_into_it(mounted: Server) -> None:
    result = mounted.run("setup", "email", "add", f"carla@{DOMAIN}", "a long pass phrase")
    assert result.code == 1
    assert "replaced on the host since; a change would be lost; recreate the container" in result.output
    assert "carla" not in mounted.checked("cat", f"{CONFIG}/postfix-accounts.cf")


def test_other_files_can_be_changed(mounted: Server) -> None:
    mounted.checked("setup", "quota", "set", ANNA, "1G")


def test_a_mounted_ldap_file_of_dovecot_23_is_read(containers: Containers, tmp_path: Path) -> None:
    file = tmp_path / "dovecot-ldap.conf.ext"
    file.write_text("hosts = ldap.test\nbase = dc=test\nuser_filter = (uid=%n)\n")
    options = ["--volume", f"{file}:/etc/dovecot/{file.name}", "--hostname", HOSTNAME, "--env=ACCOUNT_PROVISIONER=LDAP"]
    show = "dmsinit render --check --into /tmp/rendered && cat /tmp/rendered/etc/dovecot/conf.d/auth-ldap.conf.ext"
    result = containers.command("sh", "-c", show, options=options)
    assert result.code == 0, result.output
    assert "read as DOVECOT_URIS, DOVECOT_BASE, DOVECOT_USER_FILTER" in result.output
    rendered = result.output.replace('"', "")
    assert "ldap_uris = ldap://ldap.test\n" in rendered
    assert "userdb_ldap_filter = (uid=%{user | username})\n" in rendered
