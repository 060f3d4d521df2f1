"""templates/etc/postfix/master.cf.j2 against tests/contract/main-parameters.md, section 2."""

import pytest

from tests.unit.templates.conftest import Render, System

USERS_OF_THIS_SERVER = {
    "smtpd_sasl_auth_enable": "yes",
    "smtpd_sasl_type": "dovecot",
    "smtpd_reject_unlisted_recipient": "no",
    "smtpd_client_connection_count_limit": "350",
    "smtpd_sasl_authenticated_header": "yes",
    "smtpd_client_restrictions": "permit_sasl_authenticated,reject",
    "smtpd_relay_restrictions": "permit_sasl_authenticated,reject",
    "smtpd_sender_restrictions": "$mua_sender_restrictions",
    "smtpd_discard_ehlo_keywords": "",
    "milter_macro_daemon_name": "ORIGINATING",
    "cleanup_service_name": "sender-cleanup",
}


def test_port_25_is_postscreen(render: Render) -> None:
    services = render().master_cf()
    assert services["smtp/inet"][0][-2:] == ["1", "postscreen"]
    assert {"smtpd/pass", "tlsproxy/unix", "dnsblog/unix"} <= services.keys()


def test_submission_ports(render: Render) -> None:
    services = render().master_cf()
    assert services["submission/inet"][1] == {
        "syslog_name": "postfix/submission",
        "smtpd_tls_security_level": "may",
        **USERS_OF_THIS_SERVER,
    }
    assert services["submissions/inet"][1] == {
        "syslog_name": "postfix/submissions",
        "smtpd_tls_wrappermode": "yes",
        **USERS_OF_THIS_SERVER,
    }


def test_limits_of_the_user_hold_for_submission_too(system: System) -> None:
    assert system.render().master_cf()["submission/inet"][0][-2:] == ["400", "smtpd"]
    system.write(
        "/tmp/docker-mailserver/postfix-main.cf",
        "default_process_limit = 30\nsmtpd_client_connection_count_limit = 5\n",
    )
    fields, options = system.render().master_cf()["submissions/inet"]
    assert fields[-2:] == ["-", "smtpd"]
    assert "smtpd_client_connection_count_limit" not in options


def test_submission_requires_tls_with_a_certificate(system: System) -> None:
    for name in ("key", "cert"):
        system.write(f"/certs/{name}.pem", name)
    manual = {"SSL_TYPE": "manual", "SSL_KEY_PATH": "/certs/key.pem", "SSL_CERT_PATH": "/certs/cert.pem"}
    options = system.render(**manual).master_cf()["submission/inet"][1]
    assert options["smtpd_tls_security_level"] == "encrypt"


@pytest.mark.parametrize("name", ["submission/inet", "submissions/inet"])
def test_no_login_without_dovecot(render: Render, name: str) -> None:
    options = render(SMTP_ONLY="1").master_cf()[name][1]
    assert options["smtpd_sasl_auth_enable"] == "no"
    assert "smtpd_sasl_type" not in options


def test_nothing_runs_in_a_chroot(render: Render) -> None:
    for name, (fields, _) in render().master_cf().items():
        assert fields[2] == "n", name


def test_local_mail_and_mail_of_users_have_their_own_cleanup(render: Render) -> None:
    services = render().master_cf()
    assert services["pickup/fifo"][1] == {"content_filter": "", "receive_override_options": "no_header_body_checks"}
    assert services["sender-cleanup/unix"][1] == {
        "header_checks": "pcre:/etc/postfix/maps/sender_header_filter.pcre",
        "mime_header_checks": "$sender_mime_header_checks",
        "nested_header_checks": "$sender_nested_header_checks",
    }


def test_policyd_spf_is_spawned_by_postfix(render: Render) -> None:
    rendered = render()
    assert rendered.master_cf()["policyd-spf/unix"][0] == ["-", "n", "n", "-", "0", "spawn"]
    assert "  user=policyd-spf argv=/usr/bin/policyd-spf" in rendered.lines("/etc/postfix/master.cf")
    assert "policyd-spf/unix" not in render(ENABLE_POLICYD_SPF="0").master_cf()


def test_the_probe_of_health_takes_no_mail_and_only_from_inside(render: Render) -> None:
    _, options = render().master_cf()["dmsinit-health/unix"]
    assert options["smtpd_relay_restrictions"] == options["smtpd_recipient_restrictions"] == "reject"
    assert options["smtpd_milters"] == ""
    assert options["smtpd_upstream_proxy_protocol"] == options["smtpd_client_restrictions"] == ""
    assert options["max_use"] == "1"


def test_notices_of_delivery_survive_amavis(render: Render) -> None:
    assert render().master_cf()["127.0.0.1:10025/inet"][1]["smtpd_discard_ehlo_keywords"] == ""
