"""ACCOUNT_PROVISIONER=LDAP with a real directory: lookups, logins, delivery, and who may use which sender."""

import smtplib
import time
from collections.abc import Iterator
from typing import Final

import pytest

from tests.image.harness import PATIENCE_SECONDS, ROOT, Containers, Server

BIND_PASSWORD: Final = "p=&|$.*/[]^\\#x"
"""Every character that a careless substitution would take for something else (behaviour 167)."""
ANNA, BOB = "anna@example.test", "bob@second.test"
PEOPLE: Final = "ou=people,dc=example,dc=test"


@pytest.fixture(scope="module")
def directory(containers: Containers) -> Iterator[str]:
    """The address of a directory server with tests/image/ldap/people.ldif."""
    image, name = "localhost/dmsinit-test-ldap", "dmsinit-test-ldap"
    folder = str(ROOT / "tests" / "image" / "ldap")
    built = containers.call("build", "--network=host", "--tag", image, folder, timeout=300)
    assert built.code == 0, built.output
    containers.call("rm", "--force", name)
    containers.checked("run", "--detach", "--name", name, "--network=bridge", image)
    template = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
    address = containers.checked("inspect", "--format", template, name).split()[0]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while containers.call("exec", name, "ldapwhoami", "-x", "-H", "ldap:///").code:
        assert time.monotonic() < deadline, containers.checked("logs", name)
    yield f"ldap://{address}"
    containers.remove(name)


@pytest.fixture(scope="module")
def server(containers: Containers, directory: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that takes everything but the place of the directory from the shipped files."""
    environment = {
        "ACCOUNT_PROVISIONER": "LDAP",
        "LDAP_SERVER_HOST": directory,
        "LDAP_SEARCH_BASE": PEOPLE,
        "LDAP_BIND_DN": "cn=admin,dc=example,dc=test",
        "LDAP_BIND_PW": BIND_PASSWORD,
        "LDAP_QUERY_FILTER_SENDERS": "(&(|(mail=%s)(mailAlias=%s))(mailEnabled=TRUE))",
        "SPOOF_PROTECTION": "1",
        "ENABLE_AMAVIS": "0",
    }
    server = containers.start({}, tmp_path_factory.mktemp("ldap"), environment=environment).wait_until_up()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def templated(containers: Containers, directory: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose fields and filters are written for Dovecot 2.3."""
    environment = {
        "ACCOUNT_PROVISIONER": "LDAP",
        "LDAP_SERVER_HOST": directory,
        "LDAP_SEARCH_BASE": PEOPLE,
        "LDAP_BIND_DN": "cn=admin,dc=example,dc=test",
        "LDAP_BIND_PW": BIND_PASSWORD,
        "DOVECOT_USERDB_LDAP_FILTER": "(mail=%u)",
        "DOVECOT_USER_ATTRS": (
            "=home=/var/mail/homes/%{ldap:mail},=mail=maildir:/var/mail/by-name/%n,=uid=5000,=gid=5000"
        ),
        "DOVECOT_PASS_ATTRS": "=user=%{ldap:mail},userPassword=password",
        "ENABLE_AMAVIS": "0",
    }
    server = containers.start({}, tmp_path_factory.mktemp("templated"), environment=environment).wait_until_up()
    yield server
    server.remove()


def test_attributes_written_for_dovecot_2_3_lead_to_the_same_mailbox(templated: Server) -> None:
    fields = dict(line.split("\t") for line in templated.checked("doveadm", "user", ANNA).splitlines() if "\t" in line)
    assert fields["mail_path"] == "/var/mail/by-name/anna"
    assert (fields["mail_driver"], fields["home"], fields["uid"]) == ("maildir", f"/var/mail/homes/{ANNA}", "5000")
    templated.send(ANNA, "to the old place", port=587, login=ANNA)
    templated.receive(ANNA, "to the old place")
    assert templated.run("test", "-d", "/var/mail/by-name/anna/cur").code == 0
    log = templated.log()
    assert "DOVECOT_USERDB_LDAP_FILTER: '(mail=%u)' has variables of Dovecot 2.3" in log
    assert "DOVECOT_USER_ATTRS:" in log


def look_up(server: Server, key: str, table: str) -> str:
    return server.run("postmap", "-q", key, f"ldap:/etc/postfix/ldap-{table}.cf").output.strip()


def test_postfix_asks_the_directory(server: Server) -> None:
    assert look_up(server, ANNA, "users") == ANNA
    assert look_up(server, "carl@example.test", "users") == ""  # mailEnabled: FALSE
    assert look_up(server, "office@example.test", "aliases") == ANNA
    assert sorted(look_up(server, "all@example.test", "groups").split(",")) == [ANNA, BOB]
    assert look_up(server, "second.test", "domains") == BOB
    assert look_up(server, "third.test", "domains") == ""


def test_postfix_is_configured_as_the_contract_says(server: Server) -> None:
    def value(name: str) -> str:
        return server.checked("postconf", "-h", name).strip()

    assert value("virtual_mailbox_maps") == "ldap:/etc/postfix/ldap-users.cf"
    assert value("virtual_mailbox_domains") == "/etc/postfix/vhost, ldap:/etc/postfix/ldap-domains.cf"
    assert value("virtual_alias_maps") == "ldap:/etc/postfix/ldap-aliases.cf, ldap:/etc/postfix/ldap-groups.cf"
    assert value("smtpd_sender_login_maps") == "ldap:/etc/postfix/ldap-senders.cf"
    assert value("mydestination") == "localhost.$mydomain, localhost"
    assert server.checked("cat", "/etc/postfix/vhost").strip() == "example.test"
    assert server.checked("stat", "-c", "%a %G", "/etc/postfix/ldap-users.cf").split() == ["640", "postfix"]


def test_dovecot_is_configured_as_the_contract_says(server: Server) -> None:
    authentication = server.checked("cat", "/etc/dovecot/conf.d/10-auth.conf")
    assert "\n!include auth-ldap.conf.ext\n" in authentication
    assert "\n#!include auth-passwdfile.conf.ext\n" in authentication
    assert server.checked("stat", "-c", "%a", "/etc/dovecot/conf.d/auth-ldap.conf.ext").strip() == "600"
    assert server.run("test", "-e", "/etc/dovecot/conf.d/90-quota.conf").code == 1
    assert BOB in server.checked("doveadm", "user", "*")


def test_mail_comes_in_for_users_aliases_and_groups(server: Server) -> None:
    for recipient in (ANNA, "office@example.test", "all@example.test"):
        server.send(recipient, f"to {recipient.split('@')[0]}", port=587, login=ANNA)
        assert server.receive(ANNA, f"to {recipient.split('@')[0]}")["To"] == recipient
    server.receive(BOB, "to all")
    assert server.run("test", "-d", "/var/mail/second.test/bob/new").code == 0


def test_unknown_users_are_refused(server: Server) -> None:
    with server.smtp(25) as smtp:
        smtp.mail("")
        code, reply = smtp.rcpt("nobody@second.test")
    assert code == 550
    assert b"User unknown in virtual mailbox table" in reply


def test_a_wrong_password_is_refused(server: Server) -> None:
    assert server.run("doveadm", "auth", "test", ANNA, "wrong").code != 0


def test_a_user_may_use_own_senders_only(server: Server) -> None:
    for sender in (ANNA, "office@example.test"):
        server.send(BOB, f"from {sender.split('@')[0]}", port=587, login=ANNA, sender=sender)
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        server.send(BOB, "not mine", port=587, login=ANNA, sender=BOB)
    assert b"not owned by user" in str(refused.value).encode()


def test_files_of_the_volume_are_the_base_and_binds_check_passwords(
    containers: Containers, directory: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    own = f"server_host={directory}\nsearch_base   =  {PEOPLE}\nbind = no\nquery_filter = (mail=%s)\n"
    own += "result_attribute = cn\n"
    files = {"ldap-users.cf": own, "ldap-senders.cf": "nonsense = 1\n"}
    environment = {
        "ACCOUNT_PROVISIONER": "LDAP", "DOVECOT_URIS": directory, "DOVECOT_BASE": PEOPLE,
        "DOVECOT_DN": "cn=admin,dc=example,dc=test", "DOVECOT_DNPASS": BIND_PASSWORD, "DOVECOT_AUTH_BIND": "yes",
        "DOVECOT_USER_FILTER": "(&(mail=%u)(mailEnabled=TRUE))",
        "DOVECOT_PASS_ATTRS": "mail=user,userPassword=password",
        "LDAP_RESULT_ATTRIBUTE": "uniqueIdentifier", "ENABLE_AMAVIS": "0",
    }  # fmt: skip
    server = containers.start(files, tmp_path_factory.mktemp("own"), environment=environment).wait_until_up()
    try:
        written = server.checked("cat", "/etc/postfix/ldap-users.cf")
        assert written == (
            f"server_host = {directory}\nsearch_base = {PEOPLE}\nbind = no\nquery_filter = (mail=%s)\n"
            "result_attribute = uniqueIdentifier\n"
        )
        assert look_up(server, ANNA, "users") == "anna"
        assert "nonsense" not in server.checked("cat", "/etc/postfix/ldap-senders.cf")
        with server.imap(ANNA):
            pass
        assert server.run("doveadm", "auth", "test", ANNA, "wrong").code != 0
        assert server.run("doveadm", "auth", "test", "carl@example.test", "correct horse").code != 0
    finally:
        server.remove()
