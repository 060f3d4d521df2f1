"""What is found in facts about the container itself."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from dmsinit.doctor import checks
from dmsinit.doctor.facts import Certificate, Facts, Port, Space
from dmsinit.doctor.report import Finding, as_json, report

DAY = 86400.0
GIB = 1 << 30
NOW = 1_800_000_000.0
CERTIFICATE = Certificate(465, "aa", "CN = mail.example.test", ("mail.example.test",), NOW - DAY, NOW + 60 * DAY)


def found(check: Callable[[Facts], Iterator[Finding]], facts: Facts) -> list[str]:
    """Return findings as `level what`."""
    return [f"{finding.level} {finding.what}" for finding in check(facts)]


def service(name: str, state: str = "ready", **more: Any) -> dict[str, Any]:
    one = {"name": name, "enabled": True, "state": state, "reason": "", "detail": "", "last_exit": None}
    return {**one, **more}


def test_all_services_are_ready() -> None:
    services = [service("postfix"), service("update", "exited"), service("clamav", "disabled", enabled=False)]
    assert found(checks.services, Facts(status={"services": services})) == ["ok all 2 services are ready"]


def test_a_service_that_is_not_is_told_with_its_hint() -> None:
    death = {"hint": "give the container more memory"}
    services = [
        service("clamav", "backoff", reason="oom-killed", detail="killed", last_exit=death),
        service("postfix", "waiting"),
    ]
    facts = Facts(status={"services": services, "problems": ["the last change is not in force"]})
    backoff, waiting, problem = checks.services(facts)
    assert str(backoff) == "clamav is backoff: oom-killed: killed; give the container more memory"
    assert (waiting.level, waiting.remedy) == ("warn", "see: dmsctl logs postfix")
    assert (problem.level, problem.what) == ("fail", "the last change is not in force")


def test_without_dmsinit_that_is_the_finding() -> None:
    assert found(checks.services, Facts(unreachable="cannot reach dmsinit: x does not exist")) == [
        "fail cannot reach dmsinit: x does not exist"
    ]


def test_ports_that_do_not_answer_are_told() -> None:
    facts = Facts(ports=(Port(25, "SMTP", "220 x"), Port(993, "IMAPS", problem="nobody listens")))
    assert found(checks.ports, facts) == [
        "fail 993 (IMAPS) does not answer: nobody listens",
        "ok 25 answer here; whether they are published is not seen from inside",
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {},
            ["ok is valid for 60 more days", "ok is for mail.example.test", "ok is signed by a public CA"],
        ),
        ({"ends": NOW + 5 * DAY}, ["warn ends in 5 days"]),
        ({"ends": NOW - DAY}, ["fail expired on 2027-01-14"]),
        ({"begins": NOW + DAY}, ["fail is not valid yet"]),
        ({"names": ("*.example.test",)}, ["ok is for mail.example.test"]),
        ({"names": ("*.test", "example.test")}, ["fail is for *.test, example.test, not for mail.example.test"]),
        ({"names": ()}, ["fail is for CN = mail.example.test, not for mail.example.test"]),
        ({"trust": "is self-signed"}, ["fail is self-signed"]),
    ],
)
def test_the_certificate_is_judged(change: dict[str, Any], expected: list[str]) -> None:
    facts = Facts(
        now=NOW,
        fqdn="mail.example.test",
        certificates=(replace(CERTIFICATE, **change),),
        settings={"SSL_TYPE": "manual"},
    )
    assert set(expected) <= set(found(checks.certificate, facts))


@pytest.mark.parametrize("ssl_type", ["", "self-signed", "snakeoil"])
def test_a_certificate_of_ones_own_is_only_a_warning(ssl_type: str) -> None:
    own = replace(CERTIFICATE, trust="is self-signed")
    facts = Facts(now=NOW, fqdn="mail.example.test", certificates=(own,), settings={"SSL_TYPE": ssl_type})
    assert "warn is self-signed" in found(checks.certificate, facts)


def test_ports_that_show_different_certificates_are_told() -> None:
    both = (CERTIFICATE, replace(CERTIFICATE, port=993, fingerprint="bb"))
    facts = Facts(now=NOW, fqdn="mail.example.test", certificates=both)
    assert found(checks.certificate, facts)[-1] == "warn ports 465, 993 show different ones"


def test_problems_of_the_configuration_are_told_a_few_at_a_time() -> None:
    assert found(checks.configuration, Facts(domains=("a.test",))) == ["ok the volume can be read; 1 domain"]
    problems = tuple(f"postfix-virtual.cf:{number}: no target" for number in range(7))
    assert len(found(checks.configuration, Facts(volume_problems=problems))) == 6


@pytest.mark.parametrize(
    ("room", "level"),
    [
        (Space("/var/mail", True, 50 * GIB, 0.5, 0.5), "ok"),
        (Space("/var/mail", True, 50 * GIB, 0.5, None), "ok"),
        (Space("/var/mail", True, 5 * GIB, 0.05, 0.5), "warn"),
        (Space("/var/mail", True, 50 * GIB, 0.5, 0.05), "warn"),
        (Space("/var/mail", True, 50 << 20, 0.5, 0.5), "fail"),
        (Space("/var/mail", True, 50 * GIB, 0.5, 0.001), "fail"),
    ],
)
def test_room_is_judged_by_bytes_and_inodes(room: Space, level: str) -> None:
    (finding,) = checks.space(Facts(spaces=(room,)))
    assert finding.level == level


def test_a_mounted_file_that_was_replaced_is_told() -> None:
    (finding,) = checks.mounts(Facts(outdated_mounts=("/tmp/docker-mailserver/postfix-accounts.cf",)))
    assert finding.level == "fail"
    assert "postfix-accounts.cf is mounted by itself and was replaced on the host since" in finding.what


def test_what_is_no_volume_is_told() -> None:
    facts = Facts(spaces=(Space("/var/mail-state", False, 0, 0.0, None), Space("/var/log/mail", False, GIB, 0.5, 0.5)))
    assert [finding.level for finding in checks.space(facts)] == ["warn", "ok"]


@pytest.mark.parametrize(("gigabytes", "level"), [(1.0, "fail"), (2.5, "warn"), (4.0, "ok"), (math.inf, "ok")])
def test_clamav_needs_memory(gigabytes: float, level: str) -> None:
    facts = Facts(status={}, settings={"ENABLE_CLAMAV": "1"}, memory_limit=gigabytes * GIB)
    assert [finding.level for finding in checks.memory(facts)] == [level]
    assert list(checks.memory(replace(facts, settings={"ENABLE_CLAMAV": "0"}))) == []


def test_the_clock() -> None:
    facts = Facts(now=NOW, built=NOW - DAY, clock_synchronised=True)
    assert found(checks.clock, facts) == ["ok 2027-01-15 08:00 UTC"]
    assert found(checks.clock, replace(facts, clock_synchronised=None))[0].endswith("cannot be checked from here")
    assert found(checks.clock, replace(facts, clock_synchronised=False)) == ["warn is not synchronised"]
    assert found(checks.clock, replace(facts, built=NOW + DAY))[0].startswith("fail says 2027-01-15")


@pytest.mark.parametrize(
    ("mynetworks", "restrictions", "expected"),
    [
        ("127.0.0.0/8 [::1]/128 [fe80::]/64", "reject_unauth_destination", ["ok"]),
        ("127.0.0.0/8, 172.16.0.0/12", "reject_unauth_destination", ["warn"]),
        ("127.0.0.0/8 0.0.0.0/0", "reject_unauth_destination", ["fail"]),
        ("127.0.0.0/8 [::]/0", "defer_unauth_destination", ["fail"]),
        ("127.0.0.0/8 hash:/x", "permit", ["fail"]),
        ("", "reject_unauth_destination", ["ok"]),
        (None, "", []),
    ],
)
def test_who_may_relay(mynetworks: str | None, restrictions: str, expected: list[str]) -> None:
    facts = Facts(mynetworks=mynetworks, relay_restrictions=restrictions)
    assert [finding.level for finding in checks.relaying(facts)] == expected


def test_a_report_is_a_line_each_and_the_sum() -> None:
    findings = [Finding("ok", "ports", "all answer"), Finding("fail", "mx", "none", "no mail", "add one")]
    assert report(findings).splitlines() == [
        "ok    ports  all answer",
        "fail  mx     none: no mail; add one",
        "1 ok, 0 warn, 1 fail",
    ]
    assert as_json(findings)["findings"][1] == {
        "level": "fail", "check": "mx", "what": "none", "why": "no mail", "remedy": "add one",
    }  # fmt: skip
    assert as_json(findings)["counts"] == {"ok": 1, "warn": 0, "fail": 1}


def test_every_check_takes_facts_of_a_server_that_never_ran() -> None:
    findings = [finding for check in checks.CHECKS for finding in check(Facts(unreachable="cannot reach dmsinit"))]
    assert {finding.check for finding in findings} >= {"services", "config", "clock", "resolver"}
