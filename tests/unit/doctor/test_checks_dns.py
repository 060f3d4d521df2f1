"""What is found in answers of DNS."""

from collections.abc import Callable, Iterator, Mapping

import pytest

from dmsinit.doctor import checks_dns
from dmsinit.doctor.facts import Answer, Facts, Key, Names, Spf, dmarc_names
from dmsinit.doctor.report import Finding

FQDN = "mail.example.test"
DOMAIN = "example.test"
REVERSE = "25.100.51.198.in-addr.arpa"
GOOD = {
    (FQDN, "A"): ("198.51.100.25",),
    (FQDN, "AAAA"): (),
    (REVERSE, "PTR"): (FQDN,),
    (DOMAIN, "MX"): (f"10 {FQDN}",),
    (DOMAIN, "TXT"): ("v=spf1 mx -all", "site-verification=x"),
    ("s._domainkey.example.test", "TXT"): ("v=DKIM1; k=rsa; p=QUJD REVG",),
    ("_dmarc.example.test", "TXT"): ("v=DMARC1; p=reject",),
}


def facts(
    change: Mapping[tuple[str, str], tuple[str, ...] | Answer] | None = None,
    *,
    spf: Spf | None = None,
    settings: Mapping[str, str] | None = None,
    keys: tuple[Key, ...] = (Key(DOMAIN, "s", "OpenDKIM", "QUJDREVG"),),
) -> Facts:
    """Return what is seen of a server whose names are right, but for what `change` says."""
    answers = {
        question: records if isinstance(records, Answer) else Answer("found" if records else "none", records)
        for question, records in {**GOOD, **(change or {})}.items()
    }
    return Facts(
        fqdn=FQDN, domains=(DOMAIN,), keys=keys, settings={"ENABLE_OPENDKIM": "1"} if settings is None else settings,
        names=Names(("192.0.2.53",), answers, {DOMAIN: spf or Spf("pass")}, 0.1),
    )  # fmt: skip


def found(check: Callable[[Facts], Iterator[Finding]], seen: Facts) -> list[str]:
    return [f"{finding.level} {finding.what}" for finding in check(seen)]


def test_names_that_are_right_are_told_so() -> None:
    findings = [finding for check in checks_dns.CHECKS for finding in check(facts())]
    assert [str(finding) for finding in findings] == [
        "192.0.2.53 answers",
        "mail.example.test is 198.51.100.25",
        "198.51.100.25 is mail.example.test, both ways",
        "mail for example.test comes to mail.example.test",
        "example.test lets this server send",
        "s._domainkey.example.test is the public half of OpenDKIM's key",
        "example.test has the policy reject",
    ]
    assert {finding.level for finding in findings} == {"ok"}


@pytest.mark.parametrize("answer", [Answer("silence"), Answer("error")])
def test_without_dns_there_is_one_finding_that_says_so(answer: Answer) -> None:
    seen = facts(dict.fromkeys(GOOD, answer))
    findings = [finding for check in checks_dns.CHECKS for finding in check(seen)]
    assert [finding.check for finding in findings] == ["resolver"]
    assert str(findings[0]).startswith("no answer within 0.1 s (asked 192.0.2.53): mail cannot be delivered")


def test_one_question_without_an_answer_is_no_verdict() -> None:
    seen = facts({(DOMAIN, "MX"): Answer("error")})
    assert found(checks_dns.resolver, seen)[1] == "warn cannot tell about example.test"
    assert found(checks_dns.exchangers, seen) == []


@pytest.mark.parametrize(
    ("check", "change", "expected"),
    [
        (checks_dns.host, {(FQDN, "A"): ()}, "fail mail.example.test has no address in DNS"),
        (checks_dns.host, {(FQDN, "A"): ("10.88.0.5",)}, "warn 10.88.0.5 is a private address"),
        (checks_dns.host, {(REVERSE, "PTR"): ()}, "fail 198.51.100.25 has no name"),
        (
            checks_dns.host,
            {(REVERSE, "PTR"): ("x.isp.test",)},
            "fail 198.51.100.25 is x.isp.test, not mail.example.test",
        ),
        (checks_dns.exchangers, {(DOMAIN, "MX"): ()}, "fail example.test has no MX record"),
        (checks_dns.exchangers, {(DOMAIN, "MX"): ("0 .",)}, "fail example.test says that it takes no mail (RFC 7505)"),
        (checks_dns.exchangers, {(DOMAIN, "MX"): ("5 a.test",)}, "fail mail for example.test goes to a.test"),
        (
            checks_dns.exchangers,
            {(DOMAIN, "MX"): ("5 a.test", "9 alias.test"), ("alias.test", "A"): ("198.51.100.25",)},
            "ok mail for example.test comes to alias.test",
        ),
        (checks_dns.spf, {(DOMAIN, "TXT"): ()}, "warn example.test has no record"),
        (
            checks_dns.dkim,
            {("s._domainkey.example.test", "TXT"): ()},
            "fail s._domainkey.example.test has no record",
        ),
        (
            checks_dns.dkim,
            {("s._domainkey.example.test", "TXT"): ("v=DKIM1; p=QUJDREVH",)},
            "fail s._domainkey.example.test is not the half of the key that signs",
        ),
        (
            checks_dns.dkim,
            {("s._domainkey.example.test", "TXT"): ("v=DKIM1; p=",)},
            "fail s._domainkey.example.test is revoked",
        ),
        (
            checks_dns.dkim,
            {("s._domainkey.example.test", "TXT"): ("v=DKIM1; t=s:y; p=QUJDREVG",)},
            "warn s._domainkey.example.test is marked as a test",
        ),
        (checks_dns.dmarc, {("_dmarc.example.test", "TXT"): ()}, "warn example.test has no record"),
        (
            checks_dns.dmarc,
            {("_dmarc.example.test", "TXT"): ("v=DMARC1; p=none", "v=DMARC1; p=reject")},
            "fail example.test has 2 records",
        ),
    ],
)
def test_what_is_wrong_is_told(
    check: Callable[[Facts], Iterator[Finding]], change: Mapping[tuple[str, str], tuple[str, ...]], expected: str
) -> None:
    assert expected in found(check, facts(change))


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (Spf("softfail"), "fail example.test does not let this server send: softfail"),
        (Spf("permerror", "it has 2"), "fail example.test does not let this server send: permerror (it has 2)"),
        (Spf("neutral"), "warn example.test does not say whether this server may send"),
        (Spf("unknown", "x.test uses `ptr`"), "warn cannot tell for example.test (x.test uses `ptr`)"),
    ],
)
def test_spf_is_told(result: Spf, expected: str) -> None:
    assert found(checks_dns.spf, facts(spf=result)) == [expected]


def test_with_a_relay_spf_is_about_the_relay() -> None:
    seen = facts(spf=Spf("fail"), settings={"DEFAULT_RELAY_HOST": "[smtp.relay.test]:587"})
    (finding,) = checks_dns.spf(seen)
    assert str(finding).startswith("cannot tell for example.test: mail leaves through [smtp.relay.test]:587")


def test_domains_without_a_key_are_told_where_something_signs() -> None:
    assert found(checks_dns.dkim, facts(keys=())) == ["warn example.test has no key"]
    assert found(checks_dns.dkim, facts(keys=(), settings={})) == []
    broken = Key(DOMAIN, "s", "OpenDKIM", "", "/x: its private key cannot be read")
    assert found(checks_dns.dkim, facts(keys=(broken,))) == ["fail /x: its private key cannot be read"]


def test_a_policy_may_stand_at_a_domain_above() -> None:
    assert dmarc_names("lists.example.test") == ["_dmarc.lists.example.test", "_dmarc.example.test"]
    assert dmarc_names("example.test") == ["_dmarc.example.test"]
    assert dmarc_names("localhost") == ["_dmarc.localhost"]
