"""The lookup tables of Postfix and the account files of Dovecot, made from the config volume."""

import pytest

from tests.unit.templates.conftest import HASH, Render, System


def test_accounts(render: Render) -> None:
    rendered = render()
    assert rendered.text("/etc/postfix/vhost").splitlines() == ["example.test", "other.test"]
    assert rendered.lines("/etc/postfix/vmailbox") == [
        "anna@example.test example.test/anna/",
        "bob@other.test other.test/bob/",
    ]
    assert rendered.lines("/etc/dovecot/userdb") == [
        f"anna@example.test:{HASH}:5000:5000::/var/mail/example.test/anna/home::",
        f"bob@other.test:{HASH}:5000:5000::/var/mail/other.test/bob/home::userdb_mail_driver=mbox userdb_mail_path=/x",
    ]


def test_vmail_ids_and_dbox_homes(render: Render) -> None:
    rendered = render(DMS_VMAIL_UID="9042", DMS_VMAIL_GID="9043", DOVECOT_MAILBOX_FORMAT="mdbox")
    assert (
        rendered.lines("/etc/dovecot/userdb")[0] == f"anna@example.test:{HASH}:9042:9043::/var/mail/example.test/anna::"
    )


def test_account_files_are_private(render: Render) -> None:
    rendered = render()
    for path in ("/etc/dovecot/userdb", "/etc/dovecot/masterdb"):
        file = rendered.files[path]
        assert (file.owner, file.group, file.mode) == ("dovecot", "dovecot", 0o640)
    for path in ("/etc/postfix/sasl_passwd", "/etc/postfix/relayhost_map"):
        assert rendered.files[path].mode == 0o600


@pytest.mark.parametrize(("size", "grace"), [("50M", "5M"), ("5G", "0G"), ("1000k", "100k"), ("25M", "2M")])
def test_quota_of_an_account(system: System, size: str, grace: str) -> None:
    system.volume("dovecot-quotas.cf", f"anna@example.test:{size}\n")
    line = system.render().lines("/etc/dovecot/userdb")[0]
    assert line.endswith(f"::userdb_quota_storage_size={size} userdb_quota_storage_grace={grace}")


def test_quota_zero_has_no_grace(system: System) -> None:
    system.volume("dovecot-quotas.cf", "bob@other.test:0\n")
    line = system.render().lines("/etc/dovecot/userdb")[1]
    assert line.endswith("::userdb_mail_driver=mbox userdb_mail_path=/x userdb_quota_storage_size=0")


def test_quotas_off(system: System) -> None:
    system.volume("dovecot-quotas.cf", "anna@example.test:50M\n")
    system.volume("postfix-virtual.cf", "sales@example.test anna@example.test\n")
    assert len(system.render(ENABLE_QUOTAS="0").lines("/etc/dovecot/userdb")) == 2
    assert "quota" not in system.render(ENABLE_QUOTAS="0").text("/etc/dovecot/userdb").split("\n", 1)[1]


ROLES = ("postmaster", "abuse")
"""Addresses that every hosted domain has (RFC 5321, section 4.5.1; RFC 2142)."""


def test_aliases_and_their_dummies(system: System) -> None:
    system.volume("dovecot-quotas.cf", "anna@example.test:50M\n")
    system.volume(
        "postfix-virtual.cf", "sales@shop.test bob@far.test,anna@example.test\n@example.test anna@example.test\n"
    )
    rendered = system.render()
    assert rendered.lines("/etc/postfix/virtual") == [
        "sales@shop.test bob@far.test,anna@example.test",
        "@example.test anna@example.test",
        # The domain with a catch-all has them already.
        *(f"{name}@{domain} postmaster@example.test" for domain in ("other.test", "shop.test") for name in ROLES),
    ]
    assert rendered.text("/etc/postfix/vhost").splitlines() == ["example.test", "other.test", "shop.test"]
    assert rendered.lines("/etc/dovecot/userdb")[2:] == [
        f"sales@shop.test:{HASH}:5000:5000::/var/mail/example.test/anna/home::"
        "userdb_quota_storage_size=50M userdb_quota_storage_grace=5M userdb_mail_path=/var/mail/example.test/anna"
    ]


def test_the_dummy_of_an_account_with_a_place_of_its_own_has_that_place(system: System) -> None:
    system.volume("postfix-virtual.cf", "sales@shop.test bob@other.test\n")
    assert system.render().lines("/etc/dovecot/userdb")[2:] == [
        f"sales@shop.test:{HASH}:5000:5000::/var/mail/other.test/bob/home::userdb_mail_driver=mbox userdb_mail_path=/x"
    ]


def test_local_aliases(system: System) -> None:
    system.volume("postfix-aliases.cf", "devnull: /dev/null\n")
    rendered = system.render(POSTMASTER_ADDRESS="boss@example.test")
    assert rendered.lines("/etc/aliases") == ["root: boss@example.test", "devnull: /dev/null"]


def test_regexp_exists_even_when_empty(render: Render) -> None:
    assert render().lines("/etc/postfix/regexp") == []


def test_masters(system: System) -> None:
    system.volume("dovecot-masters.cf", f"admin|{HASH}\n")
    rendered = system.render()
    assert rendered.lines("/etc/dovecot/masterdb") == [f"admin:{HASH}"]
    assert "!include auth-master.conf.ext" in rendered.lines("/etc/dovecot/conf.d/10-auth.conf")


def test_without_masters_nobody_may_impersonate(render: Render) -> None:
    assert "auth-master" not in render().text("/etc/dovecot/conf.d/10-auth.conf")


def test_relay_host_takes_every_domain_that_says_nothing_else(system: System) -> None:
    system.volume("postfix-virtual.cf", "x@third.test anna@example.test\n")
    system.volume("postfix-relaymap.cf", "@other.test [o.test]:587\n@third.test\n")
    rendered = system.render(RELAY_HOST="r.test", RELAY_PORT="2525")
    assert rendered.lines("/etc/postfix/relayhost_map") == [
        "@other.test [o.test]:587",
        "@example.test    [r.test]:2525",
    ]
    assert rendered.main_cf()["sender_dependent_relayhost_maps"] == "texthash:/etc/postfix/relayhost_map"


def test_relay_host_takes_the_domain_of_a_server_with_a_directory(render: Render) -> None:
    rendered = render(RELAY_HOST="r.test", ACCOUNT_PROVISIONER="LDAP", LDAP_SERVER_HOST="ldap://d.test")
    assert rendered.text("/etc/postfix/vhost") == "example.test\n"
    assert rendered.lines("/etc/postfix/relayhost_map") == ["@example.test    [r.test]:25"]


def test_credentials_turn_login_and_tls_on(system: System) -> None:
    system.volume("postfix-sasl-password.cf", "@example.test relayuser:secret\n")
    rendered = system.render(RELAY_HOST="r.test", RELAY_PORT="2525", RELAY_USER="u", RELAY_PASSWORD="p:w #1")
    assert rendered.lines("/etc/postfix/sasl_passwd") == ["@example.test relayuser:secret", "[r.test]:2525 u:p:w #1"]
    found = rendered.main_cf()
    assert found["smtp_sasl_auth_enable"] == "yes"
    assert found["smtp_sasl_security_options"] == "noanonymous"
    assert found["smtp_sasl_password_maps"] == "texthash:/etc/postfix/sasl_passwd"
    assert found["smtp_sender_dependent_authentication"] == "yes"
    assert found["smtp_tls_security_level"] == "encrypt"


def test_default_relay_host_is_the_key_of_its_credentials(render: Render) -> None:
    rendered = render(DEFAULT_RELAY_HOST="[d.test]:587", RELAY_USER="u", RELAY_PASSWORD="p")
    assert rendered.lines("/etc/postfix/sasl_passwd") == ["[d.test]:587 u:p"]
    assert rendered.main_cf()["relayhost"] == "[d.test]:587"
    assert "sender_dependent_relayhost_maps" not in rendered.main_cf()


def test_credentials_without_a_relay_are_ignored(system: System) -> None:
    system.volume("postfix-sasl-password.cf", "@example.test relayuser:secret\n")
    rendered = system.render()
    assert rendered.lines("/etc/postfix/sasl_passwd") == []
    assert not [name for name in rendered.main_cf() if name.startswith("smtp_sasl")]
    assert rendered.main_cf()["smtp_tls_security_level"] == "may"


def test_mailname_is_the_domain(render: Render) -> None:
    assert render().text("/etc/mailname") == "example.test\n"
