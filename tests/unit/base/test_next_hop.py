"""Where Postfix sends mail to next."""

import pytest

from dmsinit.base.next_hop import is_host, next_hop

SERVICES = b"smtp\t25/tcp\nsubmission\t587/tcp\nntp\t123/udp\n"


@pytest.mark.parametrize(
    "text",
    ["relay.test", "[relay.test]", "relay.test:587", "[relay.test]:587", "[relay.test]:submission", "[192.0.2.1]:25",
     "192.0.2.1", "[2001:db8::1]:25", "[IPv6:2001:db8::1]", "relay_host"],
)  # fmt: skip
def test_next_hops(text: str) -> None:
    assert next_hop(text, SERVICES) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[relay.test]587", "has 587 where :port belongs; write [relay.test]:port"),
        ("[relay.test", "is not a host"),
        ("relay.test]:25", "has ]:25 where :port belongs"),
        ("[relay.test]:", "has nothing where a port belongs"),
        ("relay.test:99999", "has 99999 where a port belongs"),
        ("relay.test:0", "has 0 where a port belongs"),
        ("relay.test:ntp", "has ntp where a port belongs"),
        ("smtp://relay.test", "has //relay.test where a port belongs"),
        ('"relay.test"', "is not a host"),
        ("", "is not a host"),
    ],
)
def test_what_is_not_a_next_hop(text: str, said: str) -> None:
    assert said in next_hop(text, SERVICES)


def test_without_a_list_any_name_of_a_port_will_do() -> None:
    assert next_hop("relay.test:submission") == ""
    assert "has 5a where a port belongs" in next_hop("relay.test:5a")


@pytest.mark.parametrize(
    "text", ["x..example", ".relay.test", "-relay.test", "1.2.3.4.5", "bad..cafe", "1:2", "a b", ""]
)
def test_what_is_not_a_host(text: str) -> None:
    assert not is_host(text)


@pytest.mark.parametrize("text", ["relay.test.", "192.0.2.1", "2001:db8::1", "ipv6:2001:db8::1", "r_1", "9.relay.test"])
def test_hosts(text: str) -> None:
    assert is_host(text)
