"""Entries of OpenDKIM's tables with which mail would be deferred."""

import pytest

from dmsinit.problem import Problem
from dmsinit.render.check import opendkim
from dmsinit.settings import Severe

KEY = "/etc/opendkim/keys/hill.test/mail.private"
PEM = b"-----BEGIN PRIVATE KEY-----\nTUlJ\nRXZR\n-----END PRIVATE KEY-----\n"
NAME = "mail._domainkey.hill.test"
TABLES = {
    opendkim.KEYS: f"# keys\n{NAME} hill.test:mail:{KEY}\n".encode(),
    opendkim.SENDERS: f"*@hill.test {NAME}\n".encode(),
    opendkim.TRUSTED: b"127.0.0.1\nlocalhost\n.hill.test\n!192.0.2.1\n2001:db8::/32\n",
    KEY: PEM,
}


def found(**changed: bytes | None) -> list[Problem]:
    named = {"keys": opendkim.KEYS, "senders": opendkim.SENDERS, "trusted": opendkim.TRUSTED, "key": KEY}
    tables = {**TABLES, **{named[name]: content for name, content in changed.items()}}
    return list(opendkim.findings(tables.get, lambda path, line: f"{path.rpartition('/')[2]}:{line}"))


def test_tables_that_are_right() -> None:
    assert found() == []
    assert found(keys=b"% %:mail:/etc/opendkim/keys/%/mail\n", senders=b"*@hill.test %\n") == []
    assert found(keys=b"unused hill.test\n" + TABLES[opendkim.KEYS]) == [], "a key that nobody uses harms nobody"
    assert found(keys=None) == [], "without a table nothing is signed"
    assert found(senders=f"*@hill.test {NAME}:postmaster@hill.test\n".encode()) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"senders": b"*@hill.test\n"}, "SigningTable:1: *@hill.test has no key"),
        ({"senders": b"# x\n*@hill.test other\n*@b.test other\n"}, "SigningTable:2: KeyTable has no key other"),
        ({"senders": None}, "SigningTable:0: does not exist"),
        ({"keys": f"{NAME} hill.test mail {KEY}\n".encode()}, "KeyTable:1: the key is not DOMAIN:SELECTOR:PATH"),
        ({"keys": f"{NAME}\n".encode()}, "KeyTable:1: the key is not DOMAIN:SELECTOR:PATH"),
        ({"key": None}, f"KeyTable:2: {KEY} does not exist"),
        ({"key": b"garbage\n"}, f"KeyTable:2: {KEY} is not a private key"),
        ({"key": PEM.replace(b"TUlJ", b"!!")}, f"KeyTable:2: {KEY} is not a private key"),
    ],
)
def test_what_would_defer_mail_is_severe(changed: dict[str, bytes | None], said: str) -> None:
    (problem,) = found(**changed)
    assert isinstance(problem, Severe)
    assert str(problem).startswith(said)


def test_hosts_that_are_none_are_named() -> None:
    assert [problem.where for problem in found(trusted=b"192.0.2.0/99\nhost.test\n10.1\n")] == [
        "TrustedHosts:1",
        "TrustedHosts:3",
    ]
