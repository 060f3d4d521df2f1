"""What Postfix' daemons log, in terms of the lines that caused it: texts of Postfix 3.10."""

import pytest

from dmsinit.render.check.findings import Line, complaints
from dmsinit.render.check.master_cf import Entry
from dmsinit.render.check.mini_master import Attempt, Said

LINES = [
    Line("postfix-main.cf:1", "smtpd_recipient_limit", "many"),
    Line("postfix-main.cf:2", "sender_canonical_maps", "regexp:/etc/postfix/nowhere"),
    Line("postfix-main.cf:3", "mynetworks", "127.0.0.0/8 hash:/etc/postfix/nets"),
    Line("postfix-main.cf:4", "smtp_tls_security_level", "encrpt"),
    Line("postfix-main.cf:5", "canonical_maps", "hash:/etc/a, foo:/bar"),
    Line("postfix-main.cf:6", "header_checks", "texthash:nope socketmap:there"),
    Line("postfix-master.cf:1", "smtpd_recipient_limit", "few", "submission/inet"),
]


def attempt(level: str, text: str, name: str = "smtpd") -> Attempt:
    return Attempt(Entry(name, "inet", True, "-", "smtpd", ()), [Said(level, text)])


@pytest.mark.parametrize(
    ("level", "text", "where", "cause"),
    [
        ("fatal", "bad numerical configuration: smtpd_recipient_limit = many", "postfix-main.cf:1",
         "smtpd does not start with this: bad numerical configuration: smtpd_recipient_limit = many"),
        ("error", "open /etc/postfix/nowhere: No such file or directory", "postfix-main.cf:2",
         "sender_canonical_maps cannot be used, and mail would be deferred"),
        ("error", "open database /etc/postfix/nets.db: No such file or directory", "postfix-main.cf:3",
         "mynetworks cannot be used"),
        ("fatal", 'Invalid TLS level "encrpt"', "postfix-main.cf:4", "smtpd does not start with this"),
        ("error", "unsupported dictionary type: foo", "postfix-main.cf:5", "canonical_maps cannot be used, and mail"),
        ("error", "open database nope.db: No such file or directory", "postfix-main.cf:6", "header_checks cannot be"),
        ("error", "socketmap requires server:socketmap argument", "postfix-main.cf:6", "header_checks cannot be used"),
        ("fatal", "something nobody foresaw", "postfix-main.cf", "which line causes it is unknown"),
    ],
)  # fmt: skip
def test_the_line_that_causes_it(level: str, text: str, where: str, cause: str) -> None:
    (found,) = complaints([attempt(level, text)], LINES, "postfix-main.cf")
    assert (found.problem.where, found.serious) == (where, True)
    assert cause in found.problem.cause


def test_an_exception_of_the_service_comes_before_what_holds_for_all() -> None:
    said = "bad numerical configuration: smtpd_recipient_limit = few"
    (found,) = complaints([attempt("fatal", said, "submission")], LINES, "")
    assert found.problem.where == "postfix-master.cf:1"


def test_a_missing_file_is_known_as_such_and_remedied_as_such() -> None:
    text = "open database /etc/postfix/nets.db: No such file or directory"
    (found,) = complaints([attempt("error", text)], LINES, "")
    assert found.missing == "/etc/postfix/nets.db"
    assert found.problem.remedy.startswith("provide /etc/postfix/nets (postmap(1)")


@pytest.mark.parametrize(
    ("level", "text"),
    [
        ("fatal", "bad string length 0 < 1: virtual_mailbox_base ="),
        ("fatal", "bad numerical configuration: of_ours = x"),
        ("warning", "connect to private/tlsmgr: No such file or directory"),
        ("", "cache btree:/var/spool/postfix/data/smtpd_recipient_limit full cleanup"),
    ],
)
def test_what_no_line_of_the_user_causes_is_left_out(level: str, text: str) -> None:
    assert complaints([attempt(level, text)], LINES, "") == []


def test_the_same_from_several_daemons_is_told_once() -> None:
    said = "bad numerical configuration: smtpd_recipient_limit = many"
    assert len(complaints([attempt("fatal", said), attempt("fatal", said)], LINES, "")) == 1
