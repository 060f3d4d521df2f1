"""Values that Postfix reads when the first message comes."""

from dmsinit.render.check.findings import Line
from dmsinit.render.check.master_cf import entries
from dmsinit.render.check.values import check, expanded

SERVICES = b"smtp\t25/tcp\nsubmission\t587/tcp\nntp\t123/udp\n"
SMTPD = (
    b"permit_mynetworks\0reject\0reject_rbl_client\0check_sender_access\0check_policy_service\0sleep\0warn_if_reject\0"
)
ENTRIES = entries(
    """\
smtpd pass - - n - - smtpd
  -o smtpd_client_restrictions=$mua_client_restrictions
relay unix - - n - - smtp
"""
)


def problems(*settings: tuple[str, str]) -> list[str]:
    lines = [Line(f"postfix-main.cf:{number}", name, value) for number, (name, value) in enumerate(settings, 1)]
    values = {"smtpd_relay_restrictions": "$ours", **dict(settings)}
    files = {"/etc/services": SERVICES, "/usr/lib/postfix/sbin/smtpd": SMTPD}
    return [f"{problem.where}: {problem.cause}" for problem in check(lines, values, ENTRIES, lambda path: files[path])]


def test_restrictions_that_postfix_knows() -> None:
    value = "permit_mynetworks, warn_if_reject reject_rbl_client a.test, check_sender_access inline:{a=OK}, sleep 1,"
    value += " mine, PERMIT_MYNETWORKS check_policy_service { unix:x }, hash:/x"
    classes = [("smtpd_restriction_classes", "mine"), ("mine", "$more"), ("more", "reject")]
    assert problems(("smtpd_sender_restrictions", value), *classes) == []


def test_a_restriction_that_postfix_does_not_know_is_found_wherever_a_list_takes_it_from() -> None:
    found = problems(
        ("smtpd_recipient_restrictions", "permit_mynetwork, reject"),
        ("ours", "$deeper"),
        ("deeper", "no"),
        ("mua_client_restrictions", "check_sender_access"),
        ("smtpd_restriction_classes", "mine"),
        ("mine", "permitt"),
        ("unused", "anything at all"),
    )
    assert [text.split(": ", 1)[1].removesuffix(", so mail would be deferred") for text in found] == [
        "smtpd_recipient_restrictions: permit_mynetwork is not a restriction that Postfix knows",
        "ours: no is not a restriction that Postfix knows",
        "deeper: no is not a restriction that Postfix knows",
        "mua_client_restrictions: check_sender_access needs an argument",
        "mine: permitt is not a restriction that Postfix knows",
    ]


def test_transports_next_hops_and_milters() -> None:
    right = [("virtual_transport", "relay:[a.test]"), ("relayhost", "[a.test]:25"), ("content_filter", "")]
    milters = [("smtpd_milters", "inet:a:1, { unix:/x, default_action=accept } $dkim"), ("dkim", "inet:b:2")]
    assert problems(*right, *milters) == []
    assert problems(("virtual_transport", "lmpt:unix:/x"), ("relayhost", "[a.test]25"), ("smtpd_milters", "a:1")) == [
        "postfix-main.cf:1: virtual_transport: master.cf has no transport lmpt, so mail for it would be deferred",
        "postfix-main.cf:2: relayhost: [a.test]25 has 25 where :port belongs; write [a.test]:port",
        "postfix-main.cf:3: smtpd_milters: a:1 is not a milter; write inet:host:port or unix:path",
    ]


def test_expansion_ends_also_in_a_circle() -> None:
    assert expanded("$a ${b} $(c) $d", {"a": "1", "b": "$a", "c": "2"}) == "1 1 2 "
    assert "$a" in expanded("$a", {"a": "$a"})


def test_a_directory_that_a_check_replaces_has_to_be_there() -> None:
    assert problems(("queue_directory", "/"), ("data_directory", "$queue_directory")) == []
    (found,) = problems(("queue_directory", "/nowhere"))
    assert found == "postfix-main.cf:1: queue_directory: there is no directory /nowhere, so Postfix would not start"


def test_values_that_are_read_with_the_first_client() -> None:
    right = [
        ("smtp_bind_address", "192.0.2.1"), ("lmtp_bind_address6", "2001:db8::1"), ("smtp_tls_ciphers", "medium"),
        ("smtpd_tls_protocols", "!SSLv2, !SSLv3 TLSv1.2"), ("smtp_tls_mandatory_protocols", ">=TLSv1.2, <=0304"),
        ("smtp_sasl_security_options", "noanonymous, noplaintext"), ("smtp_sasl_tls_security_options", "$none"),
    ]  # fmt: skip
    assert problems(*right) == []
    wrong = [("smtp_bind_address", "eth0"), ("smtpd_tls_ciphers", "strong"), ("smtpd_tls_protocols", "!SSLv2,TLS1.2")]
    wrong += [("smtp_sasl_security_options", "noanon")]
    assert [text.split(" is not ")[0] for text in problems(*wrong)] == [
        "postfix-main.cf:1: smtp_bind_address: eth0",
        "postfix-main.cf:2: smtpd_tls_ciphers: strong",
        "postfix-main.cf:3: smtpd_tls_protocols: TLS1.2",
        "postfix-main.cf:4: smtp_sasl_security_options: noanon",
    ]
