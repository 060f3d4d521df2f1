"""templates/etc/postfix/main.cf.j2 against tests/contract/main-parameters.md, section 1."""

import re

import pytest

from tests.unit.templates.conftest import FQDN, REPOSITORY, Render, System

DEFAULTS = {
    "compatibility_level": "3.10",
    "smtpd_banner": "$myhostname ESMTP",
    "biff": "no",
    "append_dot_mydomain": "no",
    "readme_directory": "no",
    "smtputf8_enable": "no",
    "myhostname": FQDN,
    "mydomain": "example.test",
    "mydestination": "$myhostname, localhost.$mydomain, localhost",
    "alias_maps": "hash:/etc/aliases",
    "alias_database": "hash:/etc/aliases",
    "relayhost": "",
    "mynetworks": "",
    "inet_interfaces": "all",
    "inet_protocols": "all",
    "recipient_delimiter": "+",
    "mailbox_size_limit": "0",
    "virtual_mailbox_limit": "0",
    "message_size_limit": "10240000",
    "virtual_mailbox_domains": "/etc/postfix/vhost",
    "virtual_mailbox_maps": "texthash:/etc/postfix/vmailbox",
    "virtual_alias_maps": "texthash:/etc/postfix/virtual",
    "virtual_transport": "lmtp:unix:/var/run/dovecot/lmtp",
    "smtpd_tls_loglevel": "1",
    "smtp_tls_loglevel": "1",
    "tls_ssl_options": "NO_COMPRESSION, NO_RENEGOTIATION",
    "tls_preempt_cipherlist": "yes",
    "smtpd_tls_mandatory_ciphers": "high",
    "smtpd_tls_ciphers": "high",
    "smtpd_tls_protocols": "!SSLv2,!SSLv3,!TLSv1,!TLSv1.1",
    "smtpd_tls_mandatory_protocols": "!SSLv2,!SSLv3,!TLSv1,!TLSv1.1",
    "smtp_tls_protocols": "!SSLv2,!SSLv3,!TLSv1,!TLSv1.1",
    "smtpd_tls_exclude_ciphers": "aNULL, SEED, CAMELLIA, RSA+AES, SHA1",
    "smtpd_tls_CApath": "/etc/ssl/certs",
    "smtp_tls_CApath": "/etc/ssl/certs",
    "smtpd_helo_required": "yes",
    "smtpd_delay_reject": "yes",
    "smtpd_helo_restrictions": "permit_mynetworks, reject_invalid_helo_hostname, permit",
    "smtpd_relay_restrictions": "permit_mynetworks permit_sasl_authenticated defer_unauth_destination",
    "smtpd_recipient_restrictions": "permit_sasl_authenticated, permit_mynetworks, reject_unauth_destination, "
    "check_policy_service unix:private/policyd-spf, reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname, "
    "reject_unknown_recipient_domain, check_policy_service inet:localhost:65265",
    "smtpd_client_restrictions": "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination, "
    "reject_unlisted_recipient",
    "smtpd_sender_restrictions": "$dms_smtpd_sender_restrictions",
    "dms_smtpd_sender_restrictions": "permit_sasl_authenticated, permit_mynetworks, reject_unknown_sender_domain",
    "mua_sender_restrictions": "$dms_smtpd_sender_restrictions",
    "smtpd_data_restrictions": "permit_mynetworks, permit_sasl_authenticated, reject_unauth_pipelining",
    "smtpd_discard_ehlo_keywords": "silent-discard, dsn",
    "smtpd_forbid_bare_newline": "yes",
    "disable_vrfy_command": "yes",
    "postscreen_greet_action": "enforce",
    "postscreen_bare_newline_action": "enforce",
    "postscreen_dnsbl_action": "ignore",
    "postscreen_dnsbl_sites": "",
    "postscreen_dnsbl_threshold": "3",
    "postscreen_dnsbl_allowlist_threshold": "-1",
    "smtpd_sasl_auth_enable": "no",
    "smtpd_sasl_type": "dovecot",
    "smtpd_sasl_path": "/dev/shm/sasl-auth.sock",
    "smtpd_sasl_security_options": "noanonymous",
    "smtpd_sasl_local_domain": "$mydomain",
    "broken_sasl_auth_clients": "yes",
    "milter_protocol": "6",
    "milter_default_action": "tempfail",  # the contract says accept: mail that no filter saw must not come in
    "milter_connect_timeout": "15s",
    "milter_command_timeout": "15s",
    "milter_content_timeout": "130s",
    "smtpd_policy_service_timeout": "50s",
    "dkim_milter": "inet:localhost:8891",
    "dmarc_milter": "inet:localhost:8893",
    "smtpd_milters": "$dkim_milter $dmarc_milter",
    "non_smtpd_milters": "$dkim_milter",
    "policyd-spf_time_limit": "3600",
    "content_filter": "smtp-amavis:[127.0.0.1]:10024",
    "header_checks": "pcre:/etc/postfix/maps/header_checks.pcre",
    "smtp_header_checks": "pcre:/etc/postfix/maps/internal_headers.pcre",
    "sender_mime_header_checks": "",
    "sender_nested_header_checks": "",
    "internal_mail_filter_classes": "bounce",
    "local_recipient_maps": "texthash:/etc/postfix/local_recipients",
    # SSL_TYPE is empty: TLS is offered and not required.
    "smtpd_tls_security_level": "may",
    "smtp_tls_security_level": "may",
    "smtpd_tls_auth_only": "no",
    "smtpd_tls_chain_files": f"/etc/dms/tls/{FQDN}-made-key.pem /etc/dms/tls/{FQDN}-made-cert.pem",
    "tls_high_cipherlist": "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
    "ECDHE-RSA-CHACHA20-POLY1305:DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384",
}

CONDITIONAL = {
    "smtpd_sender_login_maps": "SPOOF_PROTECTION=1",
    "sender_dependent_relayhost_maps": "a relay",
    "smtp_sender_dependent_authentication": "a relay with logins of senders",
    "smtpd_tls_dh1024_param_file": "only in old releases",
    "content_filter": "Amavis, which this image does not have yet",
    "rspamd_milter": "ENABLE_RSPAMD=1",
    "sender_canonical_maps": "ENABLE_SRS=1",
    "smtp_tls_policy_maps": "ENABLE_MTA_STS=1",
    "smtp_sasl_": "a relay with logins",
}


def test_defaults(render: Render) -> None:
    assert render().main_cf() == DEFAULTS


def test_every_parameter_of_the_contract_is_accounted_for() -> None:
    text = (REPOSITORY / "tests/contract/main-parameters.md").read_text()
    section = text.split("## 1. ")[1].split("## 2. ")[0]
    first_cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| ")][2:]
    names: set[str] = set()
    for cell in first_cells:
        for name in re.findall(r"[a-z_][a-zA-Z0-9_-]+", cell.partition("(ENABLE")[0]):
            prefix = "postscreen_dnsbl" if name == "_allowlist_threshold" else "smtpd_sasl" if name == "_path" else ""
            names.add(prefix + name)
    assert len(names) > 60
    assert names - DEFAULTS.keys() - CONDITIONAL.keys() == set()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"POSTFIX_INET_PROTOCOLS": "ipv4"}, {"inet_protocols": "ipv4"}),
        (
            {"POSTFIX_MAILBOX_SIZE_LIMIT": "4096000"},
            {"mailbox_size_limit": "4096000", "virtual_mailbox_limit": "4096000"},
        ),
        ({"POSTFIX_MESSAGE_SIZE_LIMIT": "2048000"}, {"message_size_limit": "2048000"}),
        ({"POSTFIX_DAGENT": "lmtp:127.0.0.1:24"}, {"virtual_transport": "lmtp:127.0.0.1:24"}),
        (
            {"POSTSCREEN_ACTION": "drop"},
            {
                "postscreen_greet_action": "drop",
                "postscreen_bare_newline_action": "drop",
                "postscreen_dnsbl_action": "ignore",
            },
        ),
        ({"ENABLE_DNSBL": "1", "POSTSCREEN_ACTION": "drop"}, {"postscreen_dnsbl_action": "drop"}),
        ({"ENABLE_OPENDMARC": "0"}, {"smtpd_milters": "$dkim_milter", "non_smtpd_milters": "$dkim_milter"}),
        ({"ENABLE_OPENDKIM": "0"}, {"smtpd_milters": "$dmarc_milter", "non_smtpd_milters": ""}),
        (
            {"POSTFIX_REJECT_UNKNOWN_CLIENT_HOSTNAME": "1"},
            {
                "dms_smtpd_sender_restrictions": "permit_sasl_authenticated, permit_mynetworks, "
                "reject_unknown_sender_domain, reject_unknown_client_hostname"
            },
        ),
        (
            {"ENABLE_RSPAMD": "1"},
            {
                "rspamd_milter": "inet:localhost:11332",
                "smtpd_milters": "$dkim_milter $dmarc_milter $rspamd_milter",
                "non_smtpd_milters": "$dkim_milter $rspamd_milter",
                "milter_default_action": "tempfail",
            },
        ),
        (
            {"ENABLE_SRS": "1"},
            {
                "sender_canonical_maps": "tcp:localhost:10001",
                "sender_canonical_classes": "envelope_sender",
                "recipient_canonical_maps": "tcp:localhost:10002",
                "recipient_canonical_classes": "envelope_recipient,header_recipient",
            },
        ),
        (
            {"ENABLE_SRS": "1", "SRS_SENDER_CLASSES": "envelope_sender, header_sender"},
            {"sender_canonical_classes": "envelope_sender,header_sender"},
        ),
        (
            {"ENABLE_MTA_STS": "1"},
            {"smtp_tls_policy_maps": "socketmap:unix:/var/run/mta-sts/daemon.sock:postfix"},
        ),
        ({"DEFAULT_RELAY_HOST": "x.test:25"}, {"relayhost": "x.test:25"}),
        ({"PERMIT_DOCKER": "network"}, {"mynetworks": "127.0.0.0/8 [::1]/128 [fe80::]/64 172.16.0.0/12"}),
    ],
)
def test_a_setting_changes_its_parameters(
    render: Render, environment: dict[str, str], expected: dict[str, str]
) -> None:
    found = render(**environment).main_cf()
    assert {name: found[name] for name in expected} == expected


def test_milters_that_are_off_are_not_defined(render: Render) -> None:
    found = render(ENABLE_OPENDKIM="0", ENABLE_OPENDMARC="0").main_cf()
    assert "dkim_milter" not in found
    assert "dmarc_milter" not in found
    assert found["smtpd_milters"] == ""


def test_policyd_spf_off(render: Render) -> None:
    found = render(ENABLE_POLICYD_SPF="0").main_cf()
    assert "policyd-spf" not in found["smtpd_recipient_restrictions"]
    assert "policyd-spf_time_limit" not in found


def test_quotas_off_removes_the_policy(render: Render) -> None:
    assert "65265" not in render(ENABLE_QUOTAS="0").main_cf()["smtpd_recipient_restrictions"]


def test_greylisting_is_asked_last(render: Render) -> None:
    restrictions = render(ENABLE_POSTGREY="1").main_cf()["smtpd_recipient_restrictions"]
    assert restrictions.endswith("check_policy_service inet:localhost:65265, check_policy_service inet:127.0.0.1:10023")


def test_block_lists(render: Render) -> None:
    sites = render(ENABLE_DNSBL="1").main_cf()["postscreen_dnsbl_sites"].split()
    assert "zen.spamhaus.org=127.0.0.[2..11]*3" in sites
    assert "list.dnswl.org=127.0.[0..255].[2..3]*-4" in sites
    assert not any("sorbs" in site for site in sites)


def test_smtp_only(system: System) -> None:
    found = system.render(SMTP_ONLY="1").main_cf()
    assert found["virtual_mailbox_maps"] == "texthash:/etc/postfix/vmailbox"  # there are accounts: no others are taken
    assert not {"virtual_transport", "smtpd_sasl_type", "smtpd_sasl_path"} & found.keys()
    assert "65265" not in found["smtpd_recipient_restrictions"]
    assert found["virtual_alias_maps"] == "texthash:/etc/postfix/virtual"


def test_regexp_aliases_come_after_the_others(system: System) -> None:
    system.volume("postfix-regexp.cf", "/^qa/ anna@example.test\n")
    assert system.render().main_cf()["virtual_alias_maps"] == "texthash:/etc/postfix/virtual pcre:/etc/postfix/regexp"


def test_restrictions_of_users_stand_first(system: System) -> None:
    system.volume("postfix-send-access.cf", "anna@example.test REJECT\n")
    system.volume("postfix-receive-access.cf", "bob@other.test REJECT\n")
    rendered = system.render()
    found = rendered.main_cf()
    send, receive = "texthash:/etc/postfix/postfix-send-access.cf", "texthash:/etc/postfix/postfix-receive-access.cf"
    assert found["dms_smtpd_sender_restrictions"].startswith(f"check_sender_access {send}, permit_sasl_authenticated")
    assert found["smtpd_recipient_restrictions"].startswith(
        f"check_recipient_access {receive}, permit_sasl_authenticated"
    )
    assert rendered.lines("/etc/postfix/postfix-send-access.cf") == ["anna@example.test REJECT"]
    assert rendered.lines("/etc/postfix/postfix-receive-access.cf") == ["bob@other.test REJECT"]


def test_spoof_protection(render: Render) -> None:
    found = render(SPOOF_PROTECTION="1").main_cf()
    expected = "reject_authenticated_sender_login_mismatch, $dms_smtpd_sender_restrictions"
    assert found["mua_sender_restrictions"] == expected
    assert found["smtpd_sender_login_maps"] == (
        "unionmap:{ texthash:/etc/postfix/virtual, hash:/etc/aliases, "
        "pcre:/etc/postfix/maps/sender_login_maps.pcre, pcre:/etc/postfix/regexp }"
    )


def test_tls_is_required_with_a_certificate(system: System) -> None:
    for name in ("key", "cert"):
        system.write(f"/certs/{name}.pem", name)
    manual = {"SSL_TYPE": "manual", "SSL_KEY_PATH": "/certs/key.pem", "SSL_CERT_PATH": "/certs/cert.pem"}
    found = system.render(**manual).main_cf()
    assert found["smtpd_tls_chain_files"] == "/etc/dms/tls/key /etc/dms/tls/cert"
    assert found["smtpd_tls_auth_only"] == "yes"
    assert found["smtpd_tls_security_level"] == "may"
    assert "smtpd_tls_CAfile" not in found


def test_intermediate_tls(render: Render) -> None:
    ciphers = render(TLS_LEVEL="intermediate").main_cf()["tls_high_cipherlist"].split(":")
    assert ciphers[0] == "ECDHE-ECDSA-CHACHA20-POLY1305"
    assert ciphers[-1] == "DHE-RSA-AES256-SHA256"
    assert len(ciphers) == 14
