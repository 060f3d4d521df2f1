"""OpenDKIM, OpenDMARC, policyd-spf, rsyslog, logrotate, cron: main-parameters.md, sections 5 and 8."""

import re

import pytest

from tests.unit.templates.conftest import FQDN, Render, Rendered, System


def settings(rendered: Rendered, path: str) -> dict[str, str]:
    return {line.split(None, 1)[0]: line.split(None, 1)[1].strip() for line in rendered.lines(path)}


def test_opendkim(render: Render) -> None:
    found = settings(render(), "/etc/opendkim.conf")
    assert found["Socket"] == "inet:8891@localhost"
    assert found["Mode"] == "sv"
    assert found["Canonicalization"] == "relaxed/simple"
    assert found["SignatureAlgorithm"] == "rsa-sha256"
    assert found["KeyTable"] == "/etc/opendkim/KeyTable"
    assert found["SigningTable"] == "refile:/etc/opendkim/SigningTable"
    assert found["InternalHosts"] == found["ExternalIgnoreList"] == "refile:/etc/opendkim/TrustedHosts"
    assert found["RemoveOldSignatures"] == found["SyslogSuccess"] == found["LogWhy"] == "yes"
    assert found["UserID"] == "opendkim:opendkim"
    assert found["Nameservers"] == "192.0.2.53,2001:db8::53"
    assert found["OmitHeaders"].split(",")[-1] == "DKIM-Signature"


def test_without_keys_nothing_is_signed(render: Render) -> None:
    rendered = render()
    assert rendered.lines("/etc/opendkim/KeyTable") == []
    assert rendered.lines("/etc/opendkim/SigningTable") == []
    assert rendered.lines("/etc/opendkim/TrustedHosts") == ["127.0.0.1", "localhost"]


def test_keys_of_the_volume(system: System) -> None:
    key = "mail._domainkey.example.test example.test:mail:/etc/opendkim/keys/example.test/mail.private\n"
    system.volume("opendkim/KeyTable", key)
    system.volume("opendkim/SigningTable", "*@example.test mail._domainkey.example.test\n")
    system.volume("opendkim/TrustedHosts", "192.0.2.1\n")
    system.volume("opendkim/keys/example.test/mail.private", "secret\n")
    rendered = system.render(PERMIT_DOCKER="network")
    assert rendered.text("/etc/opendkim/KeyTable") == key
    assert rendered.lines("/etc/opendkim/TrustedHosts") == ["192.0.2.1", "172.16.0.0/12"]
    assert rendered.files["/etc/opendkim/keys/example.test/mail.private"].owner == "opendkim"
    assert rendered.files["/etc/opendkim/keys/example.test/mail.private"].mode == 0o600


def test_permitted_networks_are_trusted_by_both_milters(render: Render) -> None:
    rendered = render(PERMIT_DOCKER="network")
    assert rendered.lines("/etc/opendkim/TrustedHosts") == ["127.0.0.1", "localhost", "172.16.0.0/12"]
    assert rendered.lines("/etc/opendmarc/ignore.hosts") == ["localhost", "172.16.0.0/12"]


def test_opendmarc(render: Render) -> None:
    found = settings(render(), "/etc/opendmarc.conf")
    assert found["Socket"] == "inet:8893@localhost"
    assert found["RejectFailures"] == found["IgnoreAuthenticatedClients"] == "true"
    assert found["IgnoreHosts"] == "/etc/opendmarc/ignore.hosts"
    assert found["HistoryFile"] == "/var/run/opendmarc/opendmarc.dat"
    assert found["AuthservID"] == found["TrustedAuthservIDs"] == FQDN


def test_filters_that_are_off_have_no_files(render: Render) -> None:
    files = render(ENABLE_OPENDKIM="0", ENABLE_OPENDMARC="0", ENABLE_POLICYD_SPF="0").files
    assert not [path for path in files if "opendkim" in path or "opendmarc" in path or "policyd" in path]


def test_policyd_spf(render: Render) -> None:
    lines = render().lines("/etc/postfix-policyd-spf-python/policyd-spf.conf")
    assert "Reason_Message = Message {rejectdefer} due to: {spf}." in lines
    assert "Mail_From_reject = Fail" in lines


HEADERS = [
    ("Received: from pc (pc [192.0.2.7])\n\tby mail.example.test (Postfix) with ESMTPSA id 1", "IGNORE"),
    ("Received: from localhost ([127.0.0.1])\n\tby x (amavisd-new, port 10024) with ESMTP id 1", "IGNORE"),
    ("Received: from far.test (far.test [192.0.2.9]) by mail.example.test (Postfix) with ESMTPS id 1", ""),
    ("X-Originating-IP: 192.0.2.7", "IGNORE"),
    ("X-Mailer: Thing 1", "IGNORE"),
    ("User-Agent: Thing 1", "IGNORE"),
    ("X-Enigmail-Version: 1", "IGNORE"),
    ("Mime-Version: 1.0 (Thing)", "REPLACE MIME-Version: 1.0"),
    ("Message-ID: <1@example.test>", "PREPEND X-MS-Reactions: disallow"),
    ("X-MS-Reactions: allow", "IGNORE"),
    ("Subject: X-Mailer: Thing", ""),
]


@pytest.mark.parametrize(("header", "action"), HEADERS)
def test_headers_of_users_that_leave(render: Render, header: str, action: str) -> None:
    rules = render().lines("/etc/postfix/maps/sender_header_filter.pcre")
    flags = re.IGNORECASE | re.DOTALL  # pcre_table(5): both are on unless a pattern says otherwise
    found = ""
    for rule in rules:
        pattern, _, what = rule[1:].rpartition("/ ")
        if re.search(pattern, header, flags):
            found = what
            break
    assert found == action


def test_rsyslog(render: Render) -> None:
    text = render().text("/etc/rsyslog.conf")
    assert 'file="/var/log/mail/mail.log" fileOwner="syslog" fileGroup="root"' in text
    assert 'template="RSYSLOG_FileFormat"' in text
    assert "imklog" not in "\n".join(render().lines("/etc/rsyslog.conf"))
    assert render().lines("/etc/rsyslog.d/postfix.conf") == []


def test_rotation_of_the_mail_log(render: Render) -> None:
    rendered = render(LOGROTATE_INTERVAL="daily", LOGROTATE_COUNT="7")
    words = [line.strip() for line in rendered.lines("/etc/logrotate.d/maillog")]
    assert words[0] == "/var/log/mail/mail.log"
    assert {"daily", "rotate 7", "compress", "copytruncate", "delaycompress"} <= set(words)
    assert "mail" not in "\n".join(rendered.lines("/etc/logrotate.d/rsyslog"))
    assert rendered.files["/usr/lib/rsyslog/rsyslog-rotate"].mode == 0o755


def test_cron_starts_jobs_without_a_login_uid(render: Render) -> None:
    assert "pam_loginuid" not in "\n".join(render().lines("/etc/pam.d/cron"))


def test_opendkim_trusts_the_name_servers_as_spf_and_dmarc_do(render: Render) -> None:
    """With a ResolverConfiguration OpenDKIM 2.11 fails as soon as it judges two messages at a time."""
    assert not {"TrustAnchorFile", "ResolverConfiguration"} & settings(render(), "/etc/opendkim.conf").keys()
