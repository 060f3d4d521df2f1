"""Whether a ruleset of nftables names an address."""

import pytest

from dmsinit.cli.setup.kernel_bans import names

RULESET = """\
table inet f2b-table {
	set addr-set-custom {
		type ipv4_addr
		flags interval
		elements = { 192.0.2.7, 198.51.100.0/24,
				203.0.113.4-203.0.113.9 }
	}
	set addr6-set-custom {
		elements = { 2001:db8::7 }
	}
	chain f2b-chain {
		type filter hook input priority filter - 1; policy accept;
		tcp dport { 25, 143 } ip saddr @addr-set-custom reject with icmp port-unreachable
	}
}
table ip filter {
	chain f2b-x {
		ip saddr 192.0.2.99 counter packets 0 bytes 0 reject
	}
}
"""


@pytest.mark.parametrize(
    ("address", "banned"),
    [
        ("192.0.2.7", True), ("192.0.2.70", False), ("192.0.2.99", True), ("198.51.100.5", True),
        ("198.51.100.0/25", True), ("198.51.100.0/23", False), ("203.0.113.6", True), ("203.0.113.10", False),
        ("2001:DB8::7", True), ("2001:db8::8", False), ("192.0.2.9", False),
    ],
)  # fmt: skip
def test_addresses_and_networks_in_a_ruleset(address: str, banned: bool) -> None:
    assert names(RULESET, address) is banned


def test_an_empty_ruleset_bans_nobody() -> None:
    assert not names("", "192.0.2.7")
