"""Mailbox directories and users' Sieve scripts."""

import os

import pytest

from dmsinit.helpers.mailboxes import make
from dmsinit.render.start.mailboxes import OwnershipCheck, Report, create, home_below, install_scripts, with_scripts
from dmsinit.volume import Account
from tests.unit.render.conftest import System

ANNA, BOB = Account("anna@hill.test", "x"), Account("bob@hill.test", "x")
IDS = (os.getuid(), os.getgid())
SCRIPTS = frozenset({"anna@hill.test.dovecot.sieve", "nobody@hill.test.dovecot.sieve", "before.dovecot.sieve"})


@pytest.fixture(autouse=True)
def mail(system: System) -> None:
    system.path("/var/mail").mkdir(parents=True)


def test_only_missing_mailboxes_are_made(system: System) -> None:
    system.path("/var/mail/hill.test/anna/home").mkdir(parents=True)
    assert create([ANNA, BOB], *IDS, system.root) == 1
    home = system.path("/var/mail/hill.test/bob/home")
    assert home.is_dir()
    assert home.stat().st_mode & 0o777 == 0o700
    assert create([ANNA, BOB], *IDS, system.root) == 0


def test_mailbox_of_an_older_layout_gets_its_home(system: System) -> None:
    system.write("/var/mail/hill.test/anna/cur/1", "mail")
    system.write("/var/mail/hill.test/anna/sieve/own.sieve", "discard;\n")
    system.path("/var/mail/hill.test/anna/.dovecot.sieve").symlink_to("sieve/own.sieve")
    assert create([ANNA], *IDS, system.root) == 1
    assert system.read("/var/mail/hill.test/anna/cur/1") == "mail"
    assert system.read("/var/mail/hill.test/anna/home/.dovecot.sieve") == "discard;\n"


def test_other_formats_have_the_mailbox_itself_as_home(system: System) -> None:
    system.write("/var/mail/hill.test/anna/.dovecot.sieve", "discard;\n")
    system.volume("bob@hill.test.dovecot.sieve", "keep;\n")
    below = home_below("mdbox")
    assert create([ANNA, BOB], *IDS, system.root, below) == 1
    install_scripts([BOB], *IDS, system.root, below)
    assert system.read("/var/mail/hill.test/anna/.dovecot.sieve") == "discard;\n"
    assert system.read("/var/mail/hill.test/bob/.dovecot.sieve") == "keep;\n"
    assert not system.path("/var/mail/hill.test/bob/home").exists()


def test_scripts_follow_the_home_of_another_format(system: System) -> None:
    system.write("/var/mail/hill.test/anna/home/sieve/own.sieve", "discard;\n")
    system.path("/var/mail/hill.test/anna/home/.dovecot.sieve").symlink_to("sieve/own.sieve")
    assert create([ANNA], *IDS, system.root, home_below("sdbox")) == 0
    assert system.read("/var/mail/hill.test/anna/.dovecot.sieve") == "discard;\n"


def test_a_script_that_was_left_behind_stays_where_it_is(system: System) -> None:
    """A home that is there already has had its time: a script beside it was not in force, and is not revived."""
    create([ANNA], *IDS, system.root)
    system.write("/var/mail/hill.test/anna/.dovecot.sieve", "discard;\n")
    create([ANNA], *IDS, system.root)
    assert not system.path("/var/mail/hill.test/anna/home/.dovecot.sieve").exists()


def test_scripts_of_accounts_are_installed_where_they_differ(system: System) -> None:
    create([ANNA, BOB], *IDS, system.root)
    system.volume("anna@hill.test.dovecot.sieve", "keep;\n")
    script = "/var/mail/hill.test/anna/home/.dovecot.sieve"
    assert install_scripts(with_scripts([ANNA, BOB], SCRIPTS), *IDS, system.root) == [script]
    assert system.read(script) == "keep;\n"
    assert install_scripts(with_scripts([ANNA, BOB], SCRIPTS), *IDS, system.root) == []


def test_active_script_behind_a_link_is_replaced_and_the_link_stays(system: System) -> None:
    create([ANNA], *IDS, system.root)
    system.volume("anna@hill.test.dovecot.sieve", "keep;\n")
    system.write("/var/mail/hill.test/anna/home/sieve/own.sieve", "discard;\n")
    link = system.path("/var/mail/hill.test/anna/home/.dovecot.sieve")
    link.symlink_to("sieve/own.sieve")
    install_scripts([ANNA], *IDS, system.root)
    assert link.is_symlink()
    assert system.read("/var/mail/hill.test/anna/home/sieve/own.sieve") == "keep;\n"


def test_of_many_new_mailboxes_some_are_left_and_old_ones_never(system: System) -> None:
    system.write("/var/mail/hill.test/carl/.dovecot.sieve", "discard;\n")
    accounts = [Account(f"{name}@hill.test", "x") for name in ("anna", "bob", "carl")]
    assert create(accounts, *IDS, system.root, most=1) == 2
    assert not system.path("/var/mail/hill.test/bob").exists()
    assert system.read("/var/mail/hill.test/carl/home/.dovecot.sieve") == "discard;\n"


def test_what_is_left_is_made_by_the_service(system: System) -> None:
    system.write("/var/mail/lake.test", "a file where a directory belongs")
    lines = [
        "# a comment\n",
        "anna@hill.test hill.test/anna/\n",
        "bob@hill.test hill.test/bob/\n",
        "carl@lake.test lake.test/carl/\n",
    ]
    made, errors = make(lines, "/home", str(system.path("/var/mail")))
    assert (made, list(errors)) == (2, ["lake.test"])
    assert system.path("/var/mail/hill.test/bob/home").is_dir()
    assert make(lines[:3], "/home", str(system.path("/var/mail"))) == (0, {})


def test_one_mailbox_that_cannot_be_made_keeps_nobody_elses(system: System) -> None:
    system.write("/var/mail/lake.test", "a file where a directory belongs")
    system.volume("anna@hill.test.dovecot.sieve", "keep;\n")
    report = Report(system.root)
    accounts = [Account(f"{name}@{domain}.test", "x") for domain in ("lake", "hill") for name in ("anna", "bob")]
    assert create(accounts, *IDS, system.root, report=report) == 2
    assert [problem.where for problem in report.warnings] == ["/var/mail/lake.test"]


def test_scripts_that_moved_are_told_with_both_paths(system: System) -> None:
    accounts = [Account(f"user{number}@hill.test", "x") for number in range(12)]
    for account in accounts:
        system.write(f"/var/mail/hill.test/{account.local_part}/.dovecot.sieve", "discard;\n")
    report = Report(system.root)
    create(accounts, *IDS, system.root, report=report)
    assert str(report.warnings[0]) == (
        "/var/mail/hill.test/user0/.dovecot.sieve: was moved to /var/mail/hill.test/user0/home/.dovecot.sieve, "
        "where Dovecot looks for it"
    )
    assert str(report.warnings[-1]) == "/var/mail: scripts of 2 more mailboxes were moved like these"


@pytest.mark.parametrize("target", ["../elsewhere", "/absent/own.sieve", "sieve"])
def test_a_link_that_leads_to_no_script_is_replaced(system: System, target: str) -> None:
    """As the mail user nothing outside the mailbox can be written; what is left is the link itself."""
    create([ANNA], *IDS, system.root)
    system.path("/var/mail/hill.test/anna/home/sieve").mkdir()
    system.volume("anna@hill.test.dovecot.sieve", "keep;\n")
    system.path("/var/mail/hill.test/anna/home/.dovecot.sieve").symlink_to(target)
    install_scripts([ANNA], *IDS, system.root)
    assert system.read("/var/mail/hill.test/anna/home/.dovecot.sieve") == "keep;\n"


def test_ownership_that_is_right_needs_no_repair(system: System) -> None:
    create([ANNA], *IDS, system.root)
    assert OwnershipCheck(*IDS, system.root).repair() == []
