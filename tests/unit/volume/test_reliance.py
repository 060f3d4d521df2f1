"""Addresses that somebody relies on, and aliases that lead in circles."""

from pathlib import Path

import pytest

from dmsinit.volume import Account, Alias, Volume
from dmsinit.volume.reliance import (
    dead_ends,
    is_deliverable,
    loops,
    relied_on,
    standard_aliases,
    standard_local_names,
    unreachable,
)

FQDN = "mail.hill.test"
VOLUME = Volume(
    Path(),
    accounts=(Account("anna@hill.test", ""), Account("bob@valley.test", "")),
    aliases=(Alias("abuse@valley.test", ("bob@valley.test",)), Alias("@sea.test", ("anna@hill.test",))),
    regexp_lines=("/^team-[0-9]+@hill\\.test$/ anna@hill.test",),
    local_aliases=("abuse: /dev/null", "Backup: anna@hill.test"),
)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("anna@hill.test", True),
        ("ANNA@Hill.test", True),
        ("anna+tag@hill.test", True),
        ("nobody@hill.test", False),
        ("team-7@hill.test", True),
        ("team-x@hill.test", False),
        ("anyone@sea.test", True),
        ("who@elsewhere.test", True),
        ("backup@mail.hill.test", True),
        ("backup", True),
        ("docker@mail.hill.test", False),
        ("root@localhost", False),
    ],
)
def test_whether_mail_arrives(address: str, expected: bool) -> None:
    assert is_deliverable(address, VOLUME, FQDN) is expected


def test_aliases_that_lead_to_nobody() -> None:
    aliases = (
        Alias("a@hill.test", ("anna@hill.test", "Gone@hill.test", "away@elsewhere.test")),
        Alias("b@hill.test", ("gone@hill.test", "a@hill.test", "team-1@hill.test", "x+y@sea.test", "Backup", "root")),
        Alias("c@hill.test", ("nolist",)),
        Alias("@sea.test", ("anna@hill.test",)),
    )
    volume = Volume(
        Path(), accounts=VOLUME.accounts, aliases=aliases,
        regexp_lines=VOLUME.regexp_lines, local_aliases=VOLUME.local_aliases,
    )  # fmt: skip
    assert dead_ends(volume, FQDN) == {
        "Gone@hill.test": "a@hill.test", "gone@hill.test": "b@hill.test", "nolist": "c@hill.test"
    }  # fmt: skip


def test_standard_addresses_reach_the_postmaster_unless_somebody_mapped_them() -> None:
    found = {alias.address: alias.targets for alias in standard_aliases(VOLUME, "anna@hill.test", FQDN)}
    assert found == dict.fromkeys(
        ("postmaster@hill.test", "abuse@hill.test", "postmaster@valley.test"), ("anna@hill.test",)
    )
    assert standard_local_names(VOLUME, "anna@hill.test", FQDN) == ("postmaster",)
    assert standard_aliases(VOLUME, "postmaster@hill.test", FQDN) == ()
    assert standard_local_names(VOLUME, "postmaster@hill.test", FQDN) == ()


def test_a_host_that_is_a_hosted_domain_has_root_there() -> None:
    found = [alias.address for alias in standard_aliases(VOLUME, "anna@hill.test", "hill.test")]
    assert "root@hill.test" in found


def test_addresses_that_the_server_writes_to() -> None:
    settings = {
        "POSTMASTER_ADDRESS": "postmaster@hill.test", "PFLOGSUMM_TRIGGER": "daily_cron",
        "PFLOGSUMM_RECIPIENT": "reports@hill.test", "LOGWATCH_INTERVAL": "none", "LOGWATCH_RECIPIENT": "x@hill.test",
    }  # fmt: skip
    assert unreachable(relied_on(settings), VOLUME, FQDN) == {
        "POSTMASTER_ADDRESS": "postmaster@hill.test",
        "PFLOGSUMM_RECIPIENT": "reports@hill.test",
    }
    assert unreachable({"X": "a@gone.test"}, VOLUME, FQDN, ours=["gone.test"]) == {"X": "a@gone.test"}


@pytest.mark.parametrize(
    ("aliases", "found"),
    [
        ({"a": "b", "b": "a"}, [("a", "b", "a")]),
        ({"a": "b", "b": "c", "c": "b"}, [("b", "c", "b")]),
        ({"a": "a"}, []),
        ({"a": "a,b", "b": "b"}, []),
        ({"a": "b", "c": "b", "b": "x"}, []),
    ],
)
def test_aliases_that_lead_in_circles(aliases: dict[str, str], found: list[tuple[str, ...]]) -> None:
    made = tuple(
        Alias(f"{name}@hill.test", tuple(f"{target}@hill.test" for target in targets.split(",")))
        for name, targets in aliases.items()
    )
    assert loops(made) == [tuple(f"{name}@hill.test" for name in loop) for loop in found]
