"""getmail/*.cf: an rc file for each mailbox."""

import configparser

import pytest

from dmsinit.render.inputs.getmail import GENERAL, apply, keep_seen, names
from dmsinit.render.inputs.texts import Findings
from dmsinit.render.stage import Stage
from dmsinit.settings import load
from tests.unit.render.conftest import System

GENERAL_PART = "[options]\nverbose = 0\n\n"
MAILBOX = "[retriever]\ntype = SimpleIMAPSSLRetriever\nserver = imap.hill.test\npassword = secret\n"
DESTINATION = "[destination]\ntype = Maildir\npath = /x/\n"


def staged(system: System, files: dict[str, str]) -> tuple[Stage, Findings]:
    for name, text in files.items():
        system.volume(name, text)
    stage, findings = Stage(), Findings()
    stage.add(GENERAL, GENERAL_PART, mode=0o600)
    apply(stage, frozenset(files), system.root, findings)
    return stage, findings


def test_a_file_for_each_mailbox() -> None:
    found = names({"getmail", "getmail/a.cf", "getmail/getmailrc_general.cf", "getmail/notes.txt", "getmail-b.cf",
                   "getmail-a.cf", "getmail/oldmail-x", "postfix-main.cf"})  # fmt: skip
    assert found == {"a": "getmail/a.cf", "b": "getmail-b.cf"}


@pytest.mark.parametrize("name", ["getmail/x.cf", "getmail-x.cf"])
def test_the_general_part_comes_first(system: System, name: str) -> None:
    stage, findings = staged(system, {name: MAILBOX + DESTINATION})
    file = stage.files["/etc/getmailrc.d/x"]
    assert file.content.decode() == GENERAL_PART + MAILBOX + DESTINATION
    assert (file.owner, file.group, file.mode) == ("docker", "docker", 0o600)
    assert findings == Findings()


def test_options_of_its_own_replace_the_general_part(system: System) -> None:
    own = f"[options]\ndelete = true\n{MAILBOX}{DESTINATION}"
    stage, findings = staged(system, {"getmail/x.cf": own})
    assert stage.files["/etc/getmailrc.d/x"].content.decode() == own
    assert findings == Findings()


def test_a_file_named_after_an_address_is_delivered_there(system: System) -> None:
    stage, findings = staged(system, {"getmail/anna@hill.test.cf": MAILBOX})
    parser = configparser.RawConfigParser()
    parser.read_string(stage.files["/etc/getmailrc.d/anna@hill.test"].content.decode())
    assert dict(parser["destination"]) == {
        "type": "MDA_external",
        "path": "/usr/lib/dovecot/deliver",
        "arguments": '("-d", "anna@hill.test")',
        "allow_root_commands": "true",
    }
    assert findings == Findings()


def test_its_own_destination_counts_all_the_same(system: System) -> None:
    stage, _ = staged(system, {"getmail/anna@hill.test.cf": MAILBOX + DESTINATION})
    assert b"deliver" not in stage.files["/etc/getmailrc.d/anna@hill.test"].content


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (f"{MAILBOX}secret\n{DESTINATION}", "getmail/x.cf:5"),
        (f"{MAILBOX}password = secret\n{DESTINATION}", "getmail/x.cf:5"),
        (f"{MAILBOX}{DESTINATION}{MAILBOX}", "getmail/x.cf:8"),
        (MAILBOX, "getmail/x.cf"),
        (f"{MAILBOX}[destination]\npath = secret\n", "getmail/x.cf"),
        ("[options]\nsecret\n", "getmail/x.cf:2"),
        ("", "getmail/x.cf"),
    ],
    ids=["no-pair", "option-twice", "section-twice", "no-destination", "no-type", "no-pair-in-options", "empty"],
)
def test_what_getmail_cannot_read_is_told_without_its_text(system: System, text: str, where: str) -> None:
    _, findings = staged(system, {"getmail/x.cf": text})
    assert findings.problems[0].where == where
    assert not any("secret" in str(problem) for problem in findings.problems)


def test_nothing_is_staged_when_nothing_is_fetched(system: System) -> None:
    system.volume("getmail/x.cf", "no rc file at all")
    stage, findings = Stage(), Findings()
    apply(stage, frozenset({"getmail/x.cf"}), system.root, findings)
    assert not stage.files
    assert findings == Findings()


def test_what_release_v14_has_seen_is_known(system: System) -> None:
    settings = load({"ENABLE_GETMAIL": "1"}, fqdn="mail.hill.test").settings
    system.volume("getmail/oldmail-imap.hill.test-993-anna-INBOX", "1\0001\n")
    system.volume("getmail/oldmail-imap.hill.test-993-bob-INBOX", "old")
    system.write("/var/lib/getmail/oldmail-imap.hill.test-993-bob-INBOX", "newer")
    assert keep_seen(settings, system.root) == []
    assert system.read("/var/lib/getmail/oldmail-imap.hill.test-993-anna-INBOX") == "1\0001\n"
    assert system.read("/var/lib/getmail/oldmail-imap.hill.test-993-bob-INBOX") == "newer"


def test_what_cannot_be_taken_over_is_told(system: System) -> None:
    settings = load({"ENABLE_GETMAIL": "1"}, fqdn="mail.hill.test").settings
    system.volume("getmail/oldmail-x", "1")
    system.write("/var/lib/getmail", "a file where a directory belongs")
    assert ["mail that was fetched before comes again" in str(one) for one in keep_seen(settings, system.root)] == [
        True
    ]
