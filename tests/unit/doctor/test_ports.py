"""What is expected of ports, and what a certificate says."""

import ssl
from pathlib import Path

import pytest

from dmsinit.cli.dmsctl.private_authority import self_signed
from dmsinit.doctor.ports import described, expected


@pytest.mark.parametrize(
    ("settings", "ports"),
    [
        ({}, {25, 587, 465, 143, 993}),
        ({"SMTP_ONLY": "1", "ENABLE_POP3": "1"}, {25, 587, 465}),
        ({"ENABLE_IMAP": "0", "ENABLE_POP3": "1"}, {25, 587, 465, 110, 995}),
        ({"ENABLE_MANAGESIEVE": "1"}, {25, 587, 465, 143, 993, 4190}),
    ],
)
def test_ports_follow_the_settings(settings: dict[str, str], ports: set[int]) -> None:
    assert {one.number for one in expected(settings)} == ports


def test_a_certificate_is_described(tmp_path: Path) -> None:
    made = self_signed("mail.example.test", ["imap.example.test"], rsa=False, days=30, force=False, config=tmp_path)
    first, end, _ = made[1].read_text().partition("-----END CERTIFICATE-----\n")
    der = ssl.PEM_cert_to_DER_cert(first + end)
    shown = described(465, der, "x")
    assert shown is not None
    assert set(shown.names) == {"mail.example.test", "imap.example.test"}
    assert "mail.example.test" in shown.subject
    assert shown.ends - shown.begins == pytest.approx(30 * 86400, abs=2 * 86400)
    assert described(465, b"nonsense", "") is None
