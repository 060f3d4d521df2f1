"""SPF records, evaluated over a small DNS."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsinit.doctor.facts import Answer, Spf
from dmsinit.doctor.spf import evaluate

HERE = "198.51.100.25"
RECORDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("mail.test", "A"): (HERE,),
    ("near.test", "A"): ("198.51.100.77",),
    ("mail.test", "AAAA"): ("2001:db8::25",),
    ("a.test", "A"): (HERE,),
    ("a.test", "MX"): ("10 mail.test",),
    ("b.test", "MX"): ("10 near.test",),
    ("good.test", "TXT"): ("v=spf1 ip4:198.51.100.0/24 -all",),
    ("bad.test", "TXT"): ("v=spf1 -all",),
    ("loop.test", "TXT"): ("v=spf1 include:loop.test -all",),
    ("two.test", "TXT"): ("v=spf1 -all", "v=spf1 +all"),
    ("silent.test", "A"): (),
}


async def judge(text: str, *, domain: str = "a.test", address: str = HERE) -> Spf:
    async def ask(name: str, kind: str) -> Answer:
        if name == "silent.test":
            return Answer("silence")
        records = (text,) if (name, kind) == (domain, "TXT") else RECORDS.get((name, kind), ())
        return Answer("found" if records else "none", records)

    return await evaluate(domain, address, ask)


@pytest.mark.parametrize(
    ("record", "result"),
    [
        ("v=spf1 mx -all", "pass"),
        ("v=spf1 a -all", "pass"),
        ("V=SPF1 A ~ALL", "pass"),
        ("v=spf1 +a:mail.test. ~all", "pass"),
        ("v=spf1 a:near.test -all", "fail"),
        ("v=spf1 a:near.test/24 -all", "pass"),
        ("v=spf1 mx:b.test/24//64 ?all", "pass"),
        ("v=spf1 mx/24 -all", "pass"),
        ("v=spf1 ip4:198.51.100.25 -all", "pass"),
        ("v=spf1 ip4:198.51.100.0/24 -all", "pass"),
        ("v=spf1 -ip4:198.51.100.0/24 +all", "fail"),
        ("v=spf1 ip6:2001:db8::/32 ~all", "softfail"),
        ("v=spf1 include:good.test -all", "pass"),
        ("v=spf1 include:bad.test ~all", "softfail"),
        ("v=spf1 include:none.test -all", "permerror"),
        ("v=spf1 include:two.test -all", "permerror"),
        ("v=spf1 redirect=good.test", "pass"),
        ("v=spf1 redirect=none.test", "permerror"),
        ("v=spf1 exp=explain.test ?all", "neutral"),
        ("v=spf1", "neutral"),
        ("v=spf1 ip4:nonsense -all", "permerror"),
        ("v=spf1 nonsense -all", "permerror"),
        ("v=spf1 include:loop.test -all", "permerror"),
        ("v=spf1 exists:%{i}.x.test -all", "unknown"),
        ("v=spf1 include:%{d}.x.test -all", "unknown"),
        ("v=spf1 ptr -all", "unknown"),
        ("v=spf1 a:silent.test -all", "unknown"),
        ("no spf", "none"),
    ],
)
async def test_records_are_evaluated(record: str, result: str) -> None:
    assert (await judge(record)).result == result


async def test_ipv6() -> None:
    for record in ("v=spf1 a:mail.test -all", "v=spf1 ip6:2001:db8::/32 -all", "v=spf1 mx//64 -all"):
        assert (await judge(record, address="2001:db8::25")).result == "pass"
    assert (await judge("v=spf1 ip4:198.51.100.0/24 -all", address="2001:db8::25")).result == "fail"


async def test_what_cannot_be_told_says_why() -> None:
    assert await judge("v=spf1 ptr -all") == Spf("unknown", "a.test uses `ptr`")
    assert await judge("v=spf1 a:silent.test -all") == Spf("unknown", "no answer for silent.test A")


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40), st.ip_addresses())
async def test_any_record_has_a_result(terms: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    known = {"pass", "fail", "softfail", "neutral", "none", "permerror", "unknown"}
    assert (await judge(f"v=spf1 {terms}", address=str(address))).result in known
