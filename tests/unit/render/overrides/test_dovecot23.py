"""Settings of Dovecot 2.3 are answered with the spelling of 2.4."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsinit.render.overrides.dovecot23 import RENAMED, scan, scan_mounted
from tests.unit.render.conftest import System


def remedies(text: str) -> list[str]:
    return [problem.remedy for problem in scan("dovecot.cf", text)]


FLATCURVE = "write fts flatcurve { }, with substring_search = yes in it to find parts of words"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ssl_cert = </etc/ssl/my.pem", "write ssl_server_cert_file = /etc/ssl/my.pem"),
        ("  ssl_dh=</etc/dh.pem", "write ssl_server_dh_file = /etc/dh.pem"),
        ("disable_plaintext_auth = no", "write auth_allow_cleartext = yes"),
        ("ssl_prefer_server_ciphers = yes", "write ssl_server_prefer_ciphers = server"),
        ("service_count = 0", "write restart_request_count = unlimited"),
        ("quota_rule = *:storage=5G", "write quota_storage_size = 5G (inside mailbox NAME { } for one mailbox)"),
        ("mail_plugins = $mail_plugins fts fts_xapian", "write mail_plugins { fts = yes, fts_flatcurve = yes }"),
        ("mail_plugins = fts, fts_xapian", "write mail_plugins { fts = yes, fts_flatcurve = yes }"),
        ("  fts_xapian = yes", "write fts_flatcurve = yes"),
        ("fts = xapian", FLATCURVE),
        ("fts xapian {", FLATCURVE),
        ("fts_xapian = partial=3 full=20 verbose=0", FLATCURVE),
        ("fts_xapian_partial = 3", FLATCURVE),
        ("mail_plugins = $mail_plugins zlib fts", "write mail_plugins { zlib = yes, fts = yes }"),
        ("auth_username_format = %Lu", "write %{user | lower} for %Lu"),
        ("mail_path = /srv/%d/%n", "write %{user | domain} for %d, %{user | username} for %n"),
        (
            "mail_location = maildir:/srv/%d/%n:INDEX=/idx/%u:LAYOUT=fs",
            "write mail_driver = maildir and mail_path = /srv/%{user | domain}/%{user | username} and "
            "mail_index_path = /idx/%{user} and mailbox_list_layout = fs",
        ),
        ("sieve = file:~/s;active=~/.s.sieve", "write sieve_script personal { path = ~/s, active_path = ~/.s.sieve }"),
        (
            "sieve_global_extensions = +vnd.dovecot.pipe -editheader",
            "write sieve_global_extensions { vnd.dovecot.pipe = yes, editheader = no } (one setting a line)",
        ),
        ("plugin {", "write the settings in it without the section, each under its new name"),
        ("passdb {", "write passdb NAME { driver = … }, see "),
    ],
)  # fmt: skip
def test_old_spelling_is_answered_with_the_new_one(old: str, new: str) -> None:
    assert [remedy.partition("https")[0] for remedy in remedies(old)] == [new]


@pytest.mark.parametrize(
    "line",
    [
        "mail_max_userip_connections = 50",
        "# ssl_cert = </x",
        "mail_path = /srv/%{user | domain}/%{user | username}",
        'log_timestamp = "%Y-%m-%d %H:%M:%S "',
        "log_debug = category=auth",
        "passdb static {",
        "service imap-login {",
        "mail_plugins {",
        "protocols = imap lmtp",
        "sieve_plugins = sieve_imapsieve, sieve_extprograms",
        *(f"  {plugin} = yes" for plugin in ("acl", "fts", "fts_solr", "lazy_expunge", "quota", "sieve")),
        "  sieve = no",
        "login_greeting = 100%% ready",
        "mail_max_userip_connections = 40   # formerly $mail_plugins",
        "mail_home = /srv/%{user}\t# %d/%n",
        'login_greeting = "Hello" # was %u once',
        "submission_relay_password = abc%d#1",
        "mail_debug = yes",
        "auth_debug = yes",
        "protocol imap { mail_max_userip_connections = 3 }",
        "}",
        "!include_try conf.d/*.conf",
    ],
)
def test_what_dovecot_2_4_understands_is_left_alone(line: str) -> None:
    assert remedies(line) == []


@pytest.mark.parametrize("line", ['mail_path = "/a #b/%d"', "mail_path = /a#b/%d", "mail_path = /a/%d # c"])
def test_comments_end_no_value_that_they_are_part_of(line: str) -> None:
    assert remedies(line) == ["write %{user | domain} for %d"]


def test_every_line_is_told_at_once_with_its_place() -> None:
    found = scan("dovecot.cf", "a = b\nssl_key = </k\nplugin {\n  quota_grace = 5%%\n}\n")
    assert [problem.where for problem in found] == ["dovecot.cf:2", "dovecot.cf:3", "dovecot.cf:4"]


def test_a_password_is_not_repeated() -> None:
    found = scan("dovecot.cf", "ssl_key_password = geheim")
    assert "geheim" not in str(found[0])


def test_no_new_name_is_an_old_one() -> None:
    assert not {new for new in RENAMED.values() if scan("dovecot.cf", f"{new} = x")}


@given(st.text())
def test_any_text_at_all(text: str) -> None:
    for problem in scan("dovecot.cf", text):
        assert problem.where.startswith("dovecot.cf:")


def test_mounted_files_are_read_too(system: System) -> None:
    system.write("/etc/dovecot/conf.d/10-mail.conf", "mail_path = /srv/%d/%n\n")
    system.write("/etc/dovecot/conf.d/dovecot-sql.conf.txt", "query = '%u'\n")
    system.write("/etc/dovecot/local.conf", "ssl_cert = </x\n")
    found = scan_mounted(["/etc/dovecot/conf.d", "/etc/dovecot/local.conf", "/etc/postfix/x.conf"], system.root)
    assert [problem.where for problem in found] == ["/etc/dovecot/conf.d/10-mail.conf:1", "/etc/dovecot/local.conf:1"]
    assert scan_mounted(["/etc/dovecot"], system.root) == [found[1], found[0]]
    assert scan_mounted(["/etc/dovecot-x", "/etc"], system.root) == []
