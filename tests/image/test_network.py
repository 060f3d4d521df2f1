"""Which way mail goes: IP versions, relays with a login, a server without mailboxes, behind a proxy."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.image.conftest import Start
from tests.image.harness import (
    CONFIG,
    DOMAIN,
    IMAGE,
    PASSWORD,
    PATIENCE_SECONDS,
    Containers,
    Server,
    account,
    untrusting,
)

ANNA = f"anna@{DOMAIN}"
SUBMIT = """
import smtplib, ssl, sys
smtp = smtplib.SMTP(sys.argv[1], 587)
smtp.ehlo("client.example.test")
smtp.starttls(context=ssl._create_unverified_context())
smtp.login(sys.argv[2], sys.argv[3])
smtp.sendmail(sys.argv[2], [sys.argv[4]], "Subject: " + sys.argv[5] + "\\n\\nx\\n")
"""


def submit(server: Server, place: str, recipient: str, subject: str) -> None:
    """Submit a message from inside the container, where addresses are that no one outside reaches."""
    server.checked("python3", "-c", SUBMIT, place, ANNA, PASSWORD, recipient, subject)


def test_ipv6_alone_reaches_the_filters_too(start: Start) -> None:
    server = start(environment={"POSTFIX_INET_PROTOCOLS": "ipv6"}).wait_until_up()
    assert server.checked("postconf", "-h", "inet_protocols").strip() == "ipv6"
    assert "0.0.0.0:25 " not in server.checked("ss", "-ltn")
    submit(server, "::1", ANNA, "over IPv6")
    server.receive(ANNA, "over IPv6")
    log = server.mail_log()
    assert "Connection refused" not in log
    assert "Passed CLEAN" in log


def test_ipv4_alone(start: Start) -> None:
    environment = {"POSTFIX_INET_PROTOCOLS": "ipv4", "DOVECOT_INET_PROTOCOLS": "ipv4", "ENABLE_AMAVIS": "0"}
    server = start(environment=environment).wait_until_up()
    listening = server.checked("ss", "-ltn")
    assert "0.0.0.0:25 " in listening
    assert "0.0.0.0:993 " in listening
    assert "[::]:25 " not in listening
    assert "[::]:993 " not in listening


TWENTY: Final = f"""
import smtplib
with smtplib.SMTP("127.0.0.1", 25) as smtp:
    for number in range(20):
        smtp.sendmail("{ANNA}", ["{ANNA}"], f"From: {ANNA}\\nSubject: {{number}}\\n\\nx\\n")
"""
DELAYED_ACKS: Final = """
rows = [line.split() for line in open("/proc/net/netstat") if line.startswith("TcpExt")]
print(dict(zip(*rows))["DelayedACKs"])
"""


@pytest.mark.parametrize("capabilities", [["NET_ADMIN"], []])
def test_milters_need_no_delayed_acknowledgement_where_we_may_say_so(start: Start, capabilities: list[str]) -> None:
    server = start(capabilities=capabilities).wait_until_up()
    before = int(server.checked("python3", "-c", DELAYED_ACKS))
    server.checked("python3", "-c", TWENTY)
    delayed = int(server.checked("python3", "-c", DELAYED_ACKS)) - before
    assert (delayed < 20) is ("NET_ADMIN" in capabilities), f"{delayed} acknowledgements were delayed"


@pytest.fixture(scope="module")
def smart_host(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Another provider's server, at which we have an account."""
    files = {"postfix-accounts.cf": account("relay@provider.test") + account("far@provider.test")}
    options = {"environment": {"ENABLE_AMAVIS": "0"}, "hostname": "smtp.provider.test"}
    server = containers.start(files, tmp_path_factory.mktemp("provider"), **options)  # type: ignore[arg-type]  # mixed
    yield server.wait_until_up()
    server.remove()


def test_a_relay_with_a_login_takes_all_mail(start: Start, smart_host: Server) -> None:
    """Behaviours 106, 110, 111 and 113: the map, the credentials, TLS, and a domain that comes later."""
    server = start(
        environment={
            "RELAY_HOST": smart_host.address, "RELAY_PORT": "587", "RELAY_USER": "relay@provider.test",
            "RELAY_PASSWORD": PASSWORD, "ENABLE_AMAVIS": "0",
        }
    ).wait_until_up()  # fmt: skip
    relay = f"[{smart_host.address}]:587"
    assert f"@{DOMAIN}" in server.checked("cat", "/etc/postfix/relayhost_map")
    assert server.checked("stat", "-c", "%a %U", "/etc/postfix/sasl_passwd").split() == ["600", "root"]
    server.send("far@provider.test", "through the relay", port=587, login=ANNA)
    smart_host.receive("far@provider.test", "through the relay")
    assert "sasl_username=relay@provider.test" in smart_host.mail_log()
    with (server.config / "postfix-accounts.cf").open("a") as file:
        file.write(account("bob@later.test"))
    server.until(f"grep -qF '@later.test {relay}' <(tr -s ' \\t' ' ' < /etc/postfix/relayhost_map)")


def test_relays_for_some_senders(start: Start, smart_host: Server) -> None:
    """Behaviours 107 to 109 and 112, as Postfix itself answers."""
    server = start(
        {
            "postfix-accounts.cf": account(ANNA) + account("bob@direct.test") + account("carla@own.test"),
            "postfix-relaymap.cf": "@direct.test\n@own.test [own.relay.test]:2525\n",
            "postfix-sasl-password.cf": "@own.test carla:secret-1\n",
        },
        environment={
            "RELAY_HOST": "r.test",
            "RELAY_PORT": "2525",
            "DEFAULT_RELAY_HOST": "[d.test]:25",
            "ENABLE_AMAVIS": "0",
        },
    ).wait_until_up()

    def relay_of(sender: str) -> str:
        return server.run("postmap", "-q", sender, "texthash:/etc/postfix/relayhost_map").output.strip()

    def value(name: str) -> str:
        return server.checked("postconf", "-h", name).strip()

    assert relay_of(f"@{DOMAIN}") == "[r.test]:2525"
    assert relay_of("@own.test") == "[own.relay.test]:2525"
    assert relay_of("@direct.test") == ""
    assert value("relayhost") == "[d.test]:25"
    assert value("smtp_sender_dependent_authentication") == "yes"
    assert value("smtp_tls_security_level") == "encrypt"
    assert "carla:secret-1" in server.checked("cat", "/etc/postfix/sasl_passwd")


def test_a_relay_without_a_login_is_told(containers: Containers, tmp_path: Path) -> None:
    (tmp_path / "postfix-relaymap.cf").write_text("@own.test [own.relay.test]:2525\n")
    options = ["--hostname", "mail.example.test", "--env", "RELAY_HOST=r.test"]
    told = "RELAY_HOST, postfix-relaymap.cf: mail is relayed without user and password"
    for with_login in (False, True):
        checked = containers.command("dmsctl", "render", "--check", config=tmp_path, options=options)
        assert (told in checked.output) != with_login, checked.output
        (tmp_path / "postfix-sasl-password.cf").write_text("@own.test carla:secret-1\n")


def test_smtp_only_takes_mail_for_nobody_and_relays(start: Start) -> None:
    """Behaviours 102 and 103: neither accounts nor Dovecot, and no login."""
    server = start(
        {}, environment={"SMTP_ONLY": "1", "PERMIT_DOCKER": "connected-networks", "ENABLE_AMAVIS": "0"}
    ).wait_until_up()
    assert server.services()["dovecot"]["state"] == "disabled"
    assert server.checked("postconf", "-n", "virtual_mailbox_maps", "virtual_transport").strip() == ""
    assert "an open relay" in server.log()
    with server.smtp(587) as smtp:
        assert not smtp.has_extn("auth")
    with server.smtp(25) as smtp:  # from a network that may relay
        smtp.mail("app@inside.test")
        assert smtp.rcpt("somebody@outside.test")[0] == 250


def test_behind_a_proxy_that_speaks_its_protocol(start: Start) -> None:
    """The recipe of docs/how-to/behind-a-proxy.md: the client's own address arrives in both servers."""
    server = start(
        {
            "postfix-accounts.cf": account(ANNA),
            "user-patches.sh": (
                "printf '%s\\n' '10465 inet n - n - - smtpd -o syslog_name=postfix/proxied -o smtpd_tls_wrappermode=yes"
                " -o smtpd_upstream_proxy_protocol=haproxy' >> /etc/postfix/master.cf\n"
            ),
            "postfix-main.cf": "postscreen_upstream_proxy_protocol = haproxy\n",
            "dovecot.cf": (
                "haproxy_trusted_networks = 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16\n"
                "service imap-login {\n  inet_listener imaps-proxied {\n    haproxy = yes\n    port = 10993\n"
                "    ssl = yes\n  }\n  inet_listener imap {\n    port = 0\n  }\n}\n"
            ),
        },
        environment={"ENABLE_AMAVIS": "0"},
    ).wait_until_up()
    with socket.create_connection((server.address, 25), timeout=PATIENCE_SECONDS) as plain:
        plain.sendall(b"PROXY TCP4 203.0.113.8 10.0.0.1 40000 25\r\n")
        assert plain.recv(100).startswith(b"220-mail.example.test")
    for port, question, answer in ((10465, b"QUIT\r\n", b"220 "), (10993, b"a LOGOUT\r\n", b"* OK")):
        with socket.create_connection((server.address, port), timeout=PATIENCE_SECONDS) as plain:
            plain.sendall(b"PROXY TCP4 203.0.113.7 10.0.0.1 40000 465\r\n")
            with untrusting().wrap_socket(plain) as secure:
                assert secure.recv(100).startswith(answer)
                secure.sendall(question)
                while secure.recv(4096):
                    pass
    for pattern in (r"proxied.*203\.0\.113\.7", r"rip=203\.0\.113\.7"):
        server.wait_for_line("/var/log/mail/mail.log", pattern)


def test_a_configuration_volume_that_is_read_only(start: Start, containers: Containers) -> None:
    server = start()
    server.wait_until_up().remove()
    config = server.config
    options = ["--mount", f"type=bind,source={config},target={CONFIG},readonly"]
    name = f"{server.name}-read-only"
    containers.checked(
        "run", "--detach", "--name", name, "--no-healthcheck", "--network=bridge", "--hostname", "mail.example.test",
        "--env", "ENABLE_AMAVIS=0", *options, IMAGE,
    )  # fmt: skip
    read_only = Server(containers, name, config)
    try:
        read_only.wait_until_up()
        with (config / "postfix-accounts.cf").open("a") as file:  # from outside
            file.write(account(f"bob@{DOMAIN}"))
        read_only.until("grep -q ^bob@ /etc/dovecot/userdb")
        refused = read_only.run("setup", "email", "add", f"carla@{DOMAIN}", "secret")
        assert refused.code == 1
        assert "read-only" in refused.output.lower()
    finally:
        containers.remove(name)
