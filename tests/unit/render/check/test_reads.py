"""Which daemons a change of Postfix' configuration concerns."""

from dmsinit.render.check import reads
from dmsinit.render.check.master_cf import entries

SERVICES = entries(
    """\
smtp        inet  n - n - 1 postscreen
submission  inet  n - n - - smtpd
  -o syslog_name=postfix/submission
  -o smtpd_sender_restrictions=$mua_sender_restrictions
submissions inet  n - n - - smtpd
  -o syslog_name=postfix/submissions
  -o smtpd_sender_restrictions=$mua_sender_restrictions
cleanup     unix  n - n - 0 cleanup
qmgr        unix  n - n 300 1 qmgr
relay       unix  - - n - - smtp
local       unix  - n n - - local
policy      unix  - n n - 0 spawn
"""
)
PROGRAMS = {
    "/usr/lib/postfix/sbin/postscreen": b"\0postscreen_greet_wait\0",
    "/usr/lib/postfix/sbin/smtpd": b"\0smtpd_recipient_limit\0smtpd_sender_restrictions\0",
    "/usr/lib/postfix/sbin/cleanup": b"\0header_checks\0",
    "/usr/lib/postfix/libpostfix-global.so": b"\0mydomain\0",
}


def concerned(*names: str, edited: frozenset[str] = frozenset()) -> list[str]:
    found = reads.concerned(SERVICES, set(names), set(edited), lambda path: PROGRAMS.get(path, b""))
    return [entry.name for entry in found]


def test_a_daemon_is_concerned_by_the_parameters_in_its_program() -> None:
    assert concerned("header_checks") == ["cleanup"]
    assert concerned("smtpd_recipient_limit") == ["submission"], "of two that are alike, one is asked"
    assert concerned("no_such_parameter") == []
    assert concerned() == []


def test_a_daemon_is_concerned_by_what_its_options_mention_and_by_its_own_line() -> None:
    assert concerned("mua_sender_restrictions") == ["submission"]
    assert concerned(edited=frozenset({"qmgr/unix"})) == ["qmgr"]


def test_what_a_library_reads_concerns_all_that_can_be_asked() -> None:
    assert concerned("mydomain") == ["smtp", "submission", "cleanup", "qmgr", "relay", "local"]


def test_what_mentions_a_parameter_is_touched_too() -> None:
    values = {"a": "$b, x", "c": "${a}", "d": "$e"}
    assert reads.touched({"b"}, values) == {"a", "b", "c"}


def test_values_of_a_transport_are_given_to_who_reads_the_default() -> None:
    values = {
        "relay_destination_concurrency_limit": "few",
        "smtpd_recipient_limit": "3",
        "default_destination_rate_delay": "1s",
        "relay_initial_destination_concurrency": "1",
        "policy_time_limit": "soon",
        "header_checks": "",
    }
    found = reads.of_transports(SERVICES, values)
    assert [(entry.command, entry.arguments[-1], entry.instead) for entry in found] == [
        ("qmgr", "default_destination_concurrency_limit=few",
         ("default_destination_concurrency_limit", "relay_destination_concurrency_limit")),
        ("qmgr", "initial_destination_concurrency=1",
         ("initial_destination_concurrency", "relay_initial_destination_concurrency")),
        ("local", "command_time_limit=soon", ("command_time_limit", "policy_time_limit")),
    ]  # fmt: skip


def test_smtpd_is_tried_behind_a_proxy_too_where_one_announces_its_clients() -> None:
    (smtpd,) = entries("submission inet n - n - - smtpd\n  -o smtpd_upstream_proxy_protocol=hapro\n")
    (found,) = reads.behind_proxies([smtpd], {})
    assert found.behind_proxy
    assert reads.behind_proxies(SERVICES, {}) == []
    assert len(reads.behind_proxies(SERVICES, {"smtpd_upstream_proxy_protocol": "haproxy"})) == 2
