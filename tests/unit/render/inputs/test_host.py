"""The names of the host."""

import pytest

from dmsinit.render.inputs.host import nameservers, qualified_name
from tests.unit.render.conftest import System


@pytest.mark.parametrize(
    ("hosts", "hostname", "expected"),
    [
        ("10.0.0.2 mail.example.test mail\n", "mail", "mail.example.test"),
        ("10.0.0.2 Mail.Example.test. other\n", "other", "mail.example.test"),
        ("10.0.0.2 box mail.example.test\n", "mail.example.test", "mail.example.test"),
        ("# 10.0.0.2 wrong.test mail.example.test\n", "mail.example.test", "mail.example.test"),
        ("10.0.0.2 example.test\n", "example.test", "example.test"),
    ],
)
def test_name_is_what_hostname_says(system: System, hosts: str, hostname: str, expected: str) -> None:
    system.write("/etc/hosts", hosts)
    assert qualified_name(system.root, hostname) == expected


def test_name_without_domain_stays_as_it_is(system: System) -> None:
    system.write("/etc/hosts", "10.0.0.2 0123abcd\n")
    found = qualified_name(system.root, "0123abcd")
    assert found == "0123abcd" or "." in found  # the resolver of this machine may know better


def test_nameservers_are_read_once_and_in_order(system: System) -> None:
    system.write("/etc/resolv.conf", "search x\nnameserver 10.0.0.1\nnameserver ::1\nnameserver 10.0.0.1\nnameserver\n")
    assert nameservers(system.root) == ("10.0.0.1", "::1")
