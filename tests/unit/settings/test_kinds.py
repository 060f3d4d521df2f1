"""Kinds that few variables need."""

import pytest

from dmsinit.settings.field import Fault, Section
from dmsinit.settings.kinds import Duration, Listen, Pairs, Prefix, Protocols, RelayName, Size, SizeField, YesNo


class Sample(Section):
    """Fields to try."""

    size = SizeField("25M", "")
    interval = Duration("1d", "")
    poll = Duration("2", "", bare=True)
    pairs = Pairs("", "")
    listen = Listen("127.0.0.1:9154", "")
    relay = RelayName("", "")
    tls = YesNo("no", "")
    protocols = Protocols("all", ("all", "ipv4", "ipv6"), "")
    prefix = Prefix("", "")


def test_sizes() -> None:
    assert [Size(text).si_bytes for text in ("512", "3K", "42M", "2g")] == [512, 3000, 42_000_000, 2_000_000_000]
    assert Size("2G").binary_bytes == 2**31
    assert Sample.size.parse(" 25M ") == "25M"


@pytest.mark.parametrize("text", ["", "M", "25MB", "2.5M", "-1M", "٣M", "25 M", "9" * 16])
def test_not_a_size(text: str) -> None:
    with pytest.raises(Fault):
        Sample.size.parse(text)


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("5m", 300), ("2h", 7200), ("1d", 86400)])
def test_durations(text: str, seconds: int) -> None:
    assert Sample.interval.parse(text) == seconds


@pytest.mark.parametrize("text", ["", "1", "1.5h", "d", "0d", "1w", "1d2h", "-1d"])
def test_not_a_duration(text: str) -> None:
    with pytest.raises(Fault):
        Sample.interval.parse(text)


def test_bare_durations() -> None:
    assert [Sample.poll.parse(text) for text in ("2", "0.5", "1m")] == [2, 0.5, 60]
    with pytest.raises(Fault):
        Sample.poll.parse("0")


def test_pairs() -> None:
    assert Sample.pairs.parse("a=home, b = uid,") == (("home", "%{ldap:a}"), ("uid", "%{ldap:b}"))
    assert Sample.pairs.canonical(" a=home, b=uid,", ()) == "a=home,b=uid"
    assert Sample.pairs.remark("a=home, b = uid, c=mail") == ("", "")
    for text in ("a", "=home", "a=", "a=b,c", "@a=b", "=a=%$"):
        with pytest.raises(Fault):
            Sample.pairs.parse(text)


@pytest.mark.parametrize("text", ["127.0.0.1:9154", "[::1]:9154", ":9154", "localhost:1", "0.0.0.0:65535"])
def test_addresses(text: str) -> None:
    assert Sample.listen.parse(text) == text


@pytest.mark.parametrize("text", ["9154", "127.0.0.1", "::1:9154", "a b:1", "a:0", "a:65536", "a:x", "a:", "a:٣"])
def test_not_an_address(text: str) -> None:
    with pytest.raises(Fault) as caught:
        Sample.listen.parse(text)
    assert "LISTEN=127.0.0.1:9154" in caught.value.remedy


def test_relay_name_is_bare() -> None:
    assert Sample.relay.parse("smtp.example.test") == "smtp.example.test"
    with pytest.raises(Fault) as caught:
        Sample.relay.parse("[smtp.example.test]:587")
    assert "RELAY=smtp.example.test" in caught.value.remedy


def test_words() -> None:
    assert Sample.tls.parse("yes") == "yes"
    with pytest.raises(Fault):
        Sample.tls.parse("1")


def test_protocols_in_postfix_notation() -> None:
    assert Sample.protocols.parse("ipv4") == "ipv4"
    assert Sample.protocols.parse("ipv6,ipv4") == "ipv6, ipv4"
    for text in ("", "ipv5", "ipv4 ipv5"):
        with pytest.raises(Fault):
            Sample.protocols.parse(text)


@pytest.mark.parametrize("text", ["[SPAM] ", '"[SPAM] "', "'[SPAM] '"])
def test_prefix_keeps_its_blank_and_loses_its_quotes(text: str) -> None:
    assert Sample.prefix.parse(text) == "[SPAM] "


def test_prefix_of_one_quote() -> None:
    assert Sample.prefix.parse('"') == '"'
