"""What combinations of settings bring about."""

import pytest

from dmsinit.settings import Loaded, SettingsRefused, Severe, load

FQDN = "mail.example.test"


def loaded(**environ: str) -> Loaded:
    return load(environ, fqdn=FQDN)


def complaints(**environ: str) -> list[str]:
    return [warning.where for warning in loaded(**environ).warnings]


def test_spamassassin_needs_amavis() -> None:
    result = loaded(ENABLE_SPAMASSASSIN="1", ENABLE_AMAVIS="0")
    assert result.settings.enable_spamassassin is False
    assert [warning.where for warning in result.warnings] == ["ENABLE_SPAMASSASSIN"]
    assert result.sources["ENABLE_SPAMASSASSIN"] == "rule"
    assert complaints(ENABLE_SPAMASSASSIN="1") == []


@pytest.mark.parametrize("environ", [{"SMTP_ONLY": "1"}, {"ACCOUNT_PROVISIONER": "LDAP"}])
def test_quotas_need_dovecot_and_files(environ: dict[str, str]) -> None:
    result = loaded(ENABLE_QUOTAS="1", **environ)
    assert result.settings.enable_quotas is False
    assert result.warnings == ()
    assert any("ENABLE_QUOTAS" in note for note in result.notes)
    assert not any("ENABLE_QUOTAS" in note for note in loaded(**environ).notes)


def test_clamav_needs_somebody_who_asks() -> None:
    assert complaints(ENABLE_CLAMAV="1", ENABLE_AMAVIS="0") == ["ENABLE_CLAMAV"]
    assert complaints(ENABLE_CLAMAV="1") == []


@pytest.mark.parametrize(("size", "warned"), [("25M", False), ("2G", True), ("3000M", True), ("4001M", True)])
def test_sizes_that_clamav_cannot_scan(size: str, warned: bool) -> None:
    found = complaints(ENABLE_CLAMAV="1", CLAMAV_MESSAGE_SIZE_LIMIT=size)
    assert found == ["CLAMAV_MESSAGE_SIZE_LIMIT"] * warned
    assert complaints(CLAMAV_MESSAGE_SIZE_LIMIT=size) == []


def test_rspamd_beside_what_it_replaces() -> None:
    """Behaviour 142: one discouraging warning each, nothing is switched off."""
    result = loaded(ENABLE_RSPAMD="1", ENABLE_POSTGREY="1", RSPAMD_GREYLISTING="1")
    assert sorted(warning.where for warning in result.warnings) == [
        "ENABLE_AMAVIS", "ENABLE_OPENDKIM", "ENABLE_OPENDMARC", "ENABLE_POLICYD_SPF", "ENABLE_POSTGREY",
    ]  # fmt: skip
    assert result.settings.enable_amavis
    assert result.settings.enable_opendkim
    off = dict.fromkeys(("ENABLE_AMAVIS", "ENABLE_OPENDKIM", "ENABLE_OPENDMARC", "ENABLE_POLICYD_SPF"), "0")
    assert complaints(ENABLE_RSPAMD="1", ENABLE_POSTGREY="1", **off) == []
    assert complaints(ENABLE_RSPAMD="1", RSPAMD_NEURAL="1", **off) == ["RSPAMD_NEURAL"]


def test_spam_in_the_inbox_without_a_mark() -> None:
    assert complaints(MOVE_SPAM_TO_JUNK="0") == ["MOVE_SPAM_TO_JUNK"]
    assert complaints(MOVE_SPAM_TO_JUNK="0", SPAM_SUBJECT="[SPAM] ") == []
    assert complaints(MOVE_SPAM_TO_JUNK="0", SMTP_ONLY="1") == []


@pytest.mark.parametrize(
    ("environ", "where"),
    [
        ({}, "MOVE_SPAM_TO_JUNK"),
        ({"MARK_SPAM_AS_READ": "1"}, "MOVE_SPAM_TO_JUNK and MARK_SPAM_AS_READ"),
        ({"MARK_SPAM_AS_READ": "1", "MOVE_SPAM_TO_JUNK": "0", "SPAM_SUBJECT": "x"}, "MARK_SPAM_AS_READ"),
    ],
)
def test_folder_for_spam_that_is_refused(environ: dict[str, str], where: str) -> None:
    """Behaviour 135."""
    assert complaints(ENABLE_SPAMASSASSIN="1", SPAMASSASSIN_SPAM_TO_INBOX="0", **environ) == [where]
    assert complaints(ENABLE_SPAMASSASSIN="1", **environ) == []


def test_directory_without_scheme_is_an_error_and_the_start_goes_on() -> None:
    """Behaviour 43."""
    result = loaded(ACCOUNT_PROVISIONER="LDAP", LDAP_SERVER_HOST="ldap.test", ENABLE_SASLAUTHD="1")
    (complaint,) = result.warnings
    assert isinstance(complaint, Severe)
    assert complaint.where == "LDAP_SERVER_HOST"
    assert "ldap://ldap.test" in complaint.remedy
    assert complaints(LDAP_SERVER_HOST="ldap.test") == []
    assert complaints(
        ACCOUNT_PROVISIONER="LDAP", LDAP_SERVER_HOST="ldap://a", DOVECOT_URIS="b", SASLAUTHD_LDAP_SERVER="c",
        ENABLE_SASLAUTHD="1",
    ) == ["DOVECOT_URIS", "SASLAUTHD_LDAP_SERVER"]  # fmt: skip


def test_manual_certificate_needs_both_paths() -> None:
    with pytest.raises(SettingsRefused) as caught:
        loaded(SSL_TYPE="manual", RELAY_HOST="[x]")
    assert {problem.where for problem in caught.value.problems} == {"SSL_CERT_PATH", "SSL_KEY_PATH", "RELAY_HOST"}
    assert complaints(SSL_TYPE="manual", SSL_CERT_PATH="/c", SSL_KEY_PATH="/k") == []


@pytest.mark.parametrize("mechanism", ["pam", "mysql", "shadow"])
def test_removed_mechanism_of_saslauthd(mechanism: str) -> None:
    with pytest.raises(SettingsRefused) as caught:
        loaded(ENABLE_SASLAUTHD="1", SASLAUTHD_MECHANISMS=mechanism)
    assert [problem.where for problem in caught.value.problems] == ["SASLAUTHD_MECHANISMS"]


def test_relay_credentials() -> None:
    assert complaints(RELAY_USER="a", RELAY_HOST="r.test") == ["RELAY_PASSWORD"]
    assert complaints(RELAY_PASSWORD="a", RELAY_HOST="r.test") == ["RELAY_USER"]
    assert complaints(RELAY_USER="a", RELAY_PASSWORD="b") == ["RELAY_USER"]
    assert complaints(RELAY_USER="a", RELAY_PASSWORD="b", DEFAULT_RELAY_HOST="[r.test]:587") == []


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("RELAY_HOST", "smtp.example.net:587", "write RELAY_HOST=smtp.example.net, and RELAY_PORT=587"),
        ("RELAY_HOST", "smtp://r.test", "write RELAY_HOST=r.test, and RELAY_PORT=PORT"),
        ("RELAY_HOST", "x..example", "write RELAY_HOST=HOST, and RELAY_PORT=PORT"),
        ("RELAY_HOST", "[r.test]:587", "write RELAY_HOST=r.test, and the port in RELAY_PORT"),
        ("DEFAULT_RELAY_HOST", "smtp://r.test", "has //r.test where a port belongs"),
        ("DEFAULT_RELAY_HOST", "[r.test]:25,x..y", "x..y is not a host; write host:port or [host]:port"),
    ],
)
def test_a_relay_that_is_not_a_host(name: str, value: str, remedy: str) -> None:
    with pytest.raises(SettingsRefused) as caught:
        loaded(**{name: value})
    (problem,) = caught.value.problems
    assert problem.where == name
    assert remedy in problem.remedy


@pytest.mark.parametrize("value", ["r.test", "192.0.2.1", "2001:db8::1", "r.test."])
def test_relays(value: str) -> None:
    assert loaded(RELAY_HOST=value).settings.relay_host == value
    assert loaded(DEFAULT_RELAY_HOST=f"[{value}]:587,r.test:25").settings.default_relay_host.startswith("[")


def test_mailbox_that_cannot_hold_a_message() -> None:
    assert complaints(POSTFIX_MAILBOX_SIZE_LIMIT="1000") == ["POSTFIX_MAILBOX_SIZE_LIMIT"]
    assert complaints(POSTFIX_MAILBOX_SIZE_LIMIT="4096000", POSTFIX_MESSAGE_SIZE_LIMIT="2048000") == []


def test_oauth2_needs_somebody_to_ask() -> None:
    assert complaints(ENABLE_OAUTH2="1") == ["OAUTH2_INTROSPECTION_URL"]


def test_report_recipient_of_old() -> None:
    assert complaints(REPORT_RECIPIENT="1") == ["REPORT_RECIPIENT"]


def test_update_check_of_an_image_that_is_no_release() -> None:
    assert complaints(ENABLE_UPDATE_CHECK="1") == ["ENABLE_UPDATE_CHECK"]
    assert complaints(ENABLE_UPDATE_CHECK="1", DMS_RELEASE="v1.2.3") == []
    assert any("not a release" in note for note in loaded().notes)
