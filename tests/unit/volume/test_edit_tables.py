"""Denials and relays: added, replaced, taken away."""

import stat
from pathlib import Path

import pytest

from dmsinit.volume import RelayRoute, SaslPassword, edit_quotas, edit_tables, read
from dmsinit.volume.errors import EditError


def test_denials(tmp_path: Path) -> None:
    edit_tables.deny(tmp_path, "send", "spam@x.test")
    edit_tables.deny(tmp_path, "send", "spam@x.tester")
    edit_tables.deny(tmp_path, "receive", "spam@x.test")
    with pytest.raises(EditError, match="lists it already"):
        edit_tables.deny(tmp_path, "send", "Spam@x.test")
    with pytest.raises(EditError, match="cannot use ''"):
        edit_tables.deny(tmp_path, "send", "")
    edit_tables.allow(tmp_path, "send", "spam@x.test")
    with pytest.raises(EditError, match="does not list it"):
        edit_tables.allow(tmp_path, "send", "spam@x.test")
    volume = read(tmp_path)
    assert (volume.send_denied, volume.receive_denied) == (("spam@x.tester",), ("spam@x.test",))
    assert edit_tables.denials(tmp_path, "receive") == ["spam@x.test\tREJECT"]


def test_relays(tmp_path: Path) -> None:
    edit_tables.set_relay(tmp_path, "Hill.test", "smtp.relay.test", "25")
    edit_tables.set_relay(tmp_path, "@hill.test", "[smtp.relay.test]", "587")
    edit_tables.exclude_from_relay(tmp_path, "direct.test")
    edit_tables.set_relay_credentials(tmp_path, "hill.test", "user", "old")
    edit_tables.set_relay_credentials(tmp_path, "hill.test", "user", "pass: word")
    volume = read(tmp_path)
    assert volume.relay_map == (RelayRoute("@hill.test", "[smtp.relay.test]:587"), RelayRoute("@direct.test", ""))
    assert volume.sasl_passwords == (SaslPassword("@hill.test", "user", "pass: word"),)
    assert stat.S_IMODE((tmp_path / "postfix-sasl-password.cf").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("domain", "host", "port"),
    [("", "h", "25"), ("a@x.test", "h", "25"), ("x.test", "", "25"), ("x.test", "a b", "25"), ("x.test", "h", "0"),
     ("x.test", "h", "65536"), ("x.test", "h", "smtp")],
)  # fmt: skip
def test_what_is_no_relay_is_refused(tmp_path: Path, domain: str, host: str, port: str) -> None:
    with pytest.raises(EditError, match="cannot use"):
        edit_tables.set_relay(tmp_path, domain, host, port)


@pytest.mark.parametrize(("user", "password"), [("", "x"), ("a:b", "x"), ("u", ""), ("u", " x"), ("u", "a\nb")])
def test_credentials_that_the_file_cannot_hold_are_refused(tmp_path: Path, user: str, password: str) -> None:
    with pytest.raises(EditError, match="cannot"):
        edit_tables.set_relay_credentials(tmp_path, "x.test", user, password)


def test_quotas_match_whole_addresses(tmp_path: Path) -> None:
    edit_quotas.set_quota(tmp_path, "xanna@x.test", "1G")
    edit_quotas.set_quota(tmp_path, "anna@x.test", "5G")
    edit_quotas.set_quota(tmp_path, "anna@x.test", "0")
    edit_quotas.remove_quota(tmp_path, "nobody@x.test")
    assert read(tmp_path).quotas == {"xanna@x.test": "1G", "anna@x.test": "0"}
    edit_quotas.remove_quota(tmp_path, "anna@x.test")
    assert read(tmp_path).quotas == {"xanna@x.test": "1G"}
    for size in ("123", "5g", "", "-1G", "1.5G", "G"):
        with pytest.raises(EditError, match="is not a size"):
            edit_quotas.set_quota(tmp_path, "anna@x.test", size)
