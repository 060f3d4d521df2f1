"""TLS_LEVEL holds on every port: what a server offers is found out by asking for it (behaviour 178)."""

import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Final

import pytest

from tests.image.harness import DOMAIN, PATIENCE_SECONDS, Containers, Server, account

MODERN = {
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305",
}  # fmt: skip
INTERMEDIATE = MODERN | {"ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA384"}
"""The lists of the two levels (main-parameters.md, section 7), as far as a key on a curve can use them."""


Dialogue = tuple[tuple[bytes, bytes], ...]
SMTP: Final = ((b"", b"220 "), (b"EHLO client.example.test", b"250 "), (b"STARTTLS", b"220 "))
IMAP: Final = ((b"", b"* OK "), (b"a STARTTLS", b"a OK "))
POP3: Final = ((b"", b"+OK "), (b"STLS", b"+OK "))
SIEVE: Final = ((b"", b"OK "), (b"STARTTLS", b"OK "))
"""What is said before TLS begins: a command (the first time none), and how the last line of its answer begins."""

PORTS: Final[Mapping[int, Dialogue]] = {
    25: SMTP, 587: SMTP, 465: (), 143: IMAP, 993: (), 110: POP3, 995: (), 4190: SIEVE,
}  # fmt: skip


def ready_for_tls(host: str, port: int) -> socket.socket:
    connection = socket.create_connection((host, port), timeout=PATIENCE_SECONDS)
    with connection.makefile("rb") as lines:
        for command, end in PORTS[port]:
            if command:
                connection.sendall(command + b"\r\n")
            while not (line := lines.readline()).startswith(end):
                assert line, f"port {port} closed the connection"
    return connection


@pytest.fixture(scope="module", params=["modern", "intermediate"])
def levelled(
    request: pytest.FixtureRequest,
    containers: Containers,
    certificate: Mapping[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Server, set[str]]]:
    """A server with all ports, and the ciphers of TLS 1.2 that its level allows."""
    environment = {
        "SSL_TYPE": "self-signed", "TLS_LEVEL": request.param, "ENABLE_POP3": "1", "ENABLE_MANAGESIEVE": "1",
        "ENABLE_AMAVIS": "0", "ENABLE_OPENDKIM": "0", "ENABLE_OPENDMARC": "0",
    }  # fmt: skip
    files = {
        "postfix-accounts.cf": account(f"anna@{DOMAIN}"), **certificate,
        "postfix-main.cf": "postscreen_greet_wait = 1s\nanvil_rate_time_unit = 1s\n",
    }  # fmt: skip
    server = containers.start(files, tmp_path_factory.mktemp("level"), environment=environment).wait_until_up()
    yield server, MODERN if request.param == "modern" else INTERMEDIATE
    server.remove()


def shaken(server: Server, port: int, version: ssl.TLSVersion, ciphers: str) -> str:
    """Return the cipher that a handshake ends with, or "" when the server agrees to none."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(ciphers + ":@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    connection = ready_for_tls(server.address, port)
    try:
        with context.wrap_socket(connection) as secured:
            chosen = secured.cipher()
            assert chosen is not None
            return chosen[0]
    except (ssl.SSLError, ConnectionResetError):
        return ""
    finally:
        connection.close()


@pytest.mark.parametrize("port", PORTS)
def test_a_port_offers_what_its_level_says(levelled: tuple[Server, set[str]], port: int) -> None:
    server, allowed = levelled
    offered: list[str] = []
    while chosen := shaken(
        server, port, ssl.TLSVersion.TLSv1_2, ":".join(["ALL:COMPLEMENTOFALL", *(f"!{n}" for n in offered)])
    ):
        offered.append(chosen)
    assert set(offered) == allowed
    assert shaken(server, port, ssl.TLSVersion.TLSv1_3, "ALL").startswith("TLS_")
    with pytest.warns(DeprecationWarning):
        assert shaken(server, port, ssl.TLSVersion.TLSv1_1, "ALL") == ""
