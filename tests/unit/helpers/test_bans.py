"""Bans that the kernel has lost."""

import time
from pathlib import Path
from typing import Any

import pytest

from dmsinit.helpers import bans
from dmsinit.helpers.bans import Ruleset
from dmsinit.metrics import bans as metrics

ACTIONS = {
    "kernel": "nft add element inet f2b-table addr-set-kernel { <ip> }",
    "old": "<iptables> -I f2b-old 1 -s <ip> -j DROP",
    "cloud": "curl https://firewall.example/<ip>",
}

lost = bans.lost


class Fail2ban:
    """Answers as Fail2ban does, about jails with one action each."""

    def __init__(self, banned: dict[str, list[str]]) -> None:
        self.banned = banned

    def __call__(self, *words: str) -> Any:
        match words:
            case ("banned",):
                return [{jail: addresses} for jail, addresses in self.banned.items()]
            case ("get", jail, "actions"):
                return [f"{jail}-action"]
            case ("get", jail, "action", _, "actionban"):
                return ACTIONS[jail]
        raise AssertionError(words)


def test_only_bans_of_the_kernel_are_looked_for_there() -> None:
    fail2ban = Fail2ban({"kernel": ["192.0.2.7", "192.0.2.8"], "old": ["192.0.2.9"], "cloud": ["192.0.2.10"]})
    count, missing = bans.lost(fail2ban, lambda: Ruleset("elements = { 192.0.2.7 }"))
    assert (count, missing) == (4, {"kernel": ["192.0.2.8"], "old": ["192.0.2.9"]})


def test_where_the_rules_cannot_be_read_nothing_is_lost() -> None:
    assert bans.lost(Fail2ban({"kernel": ["192.0.2.7"]}), lambda: None) == (1, {})
    assert bans.lost(Fail2ban({"kernel": []}), lambda: pytest.fail("no ban, no question")) == (0, {})


def test_lost_bans_are_set_again_and_what_cannot_be_set_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = ""
    restarted: list[str] = []

    def restart(argv: list[str], **_: object) -> None:
        nonlocal rules
        restarted.append(argv[-1])
        rules = "elements = { 192.0.2.7 }"

    monkeypatch.setattr(bans, "lost", lambda ask: lost(ask, lambda: Ruleset(rules)))
    monkeypatch.setattr(bans, "_REST_SECONDS", 0)
    monkeypatch.setattr("subprocess.run", restart)
    state = str(tmp_path / "bans")
    fail2ban = Fail2ban({"kernel": ["192.0.2.7", "192.0.2.8"]})
    assert bans.watch(fail2ban, state) == (
        "the kernel had lost 1 bans (somebody has flushed its rules), and they were set again; "
        "the kernel has no rule for 192.0.2.8, which Fail2ban lists as banned; see fail2ban.log"
    )
    assert bans.watch(fail2ban, state) == ""
    assert restarted == ["kernel"]
    shown = {sample.name: sample.value for family in metrics.families(state) for sample in family.samples}
    assert shown == {"dms_bans": 2, "dms_bans_missing": 1, "dms_bans_restored_total": 1}
    fail2ban.banned = {}
    bans.watch(fail2ban, state)
    assert [family.samples[0].value for family in metrics.families(state)] == [0, 0, 1]


def test_bans_that_are_being_set_are_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a start: Fail2ban lists all of them, and sets one after the other."""
    addresses = [f"192.0.2.{number}" for number in range(1, 9)]
    looks = iter(range(1, 9))
    monkeypatch.setattr(bans, "lost", lambda ask: lost(ask, lambda: Ruleset(" ".join(addresses[: next(looks)]))))
    monkeypatch.setattr(bans, "_PAUSE_SECONDS", 0)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("nothing is lost"))
    assert bans.watch(Fail2ban({"kernel": addresses}), str(tmp_path / "bans")) == ""
    assert next(looks, None) is None
    monkeypatch.setattr(bans, "lost", lambda ask: (9, {"kernel": [str(time.monotonic())]}))
    monkeypatch.setattr(bans, "_PATIENCE_SECONDS", 0)
    assert bans.watch(Fail2ban({}), str(tmp_path / "bans")) == "", "it takes longer"
