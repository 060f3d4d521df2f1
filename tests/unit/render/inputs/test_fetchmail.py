"""fetchmail.cf: where entries begin and end, and what becomes of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsinit.render.inputs.fetchmail import RC, Servers, apply, servers_of, split
from dmsinit.render.inputs.texts import Findings
from dmsinit.render.stage import Stage
from dmsinit.settings import Severe, load
from tests.unit.render.conftest import System

TWO = """\
set no bouncemail
# the first: poll nothing here
poll imap.hill.test proto imap
    user "anna" there with password "x" is anna@hill.test here ssl
poll pop.hill.test proto pop3 user bob there with password y is bob@hill.test here
"""


def entries(text: str) -> list[str]:
    return [entry.split()[1] for entry in split(text).entries]


def test_each_entry_reaches_to_the_next() -> None:
    servers = split(TWO)
    assert servers.common == "set no bouncemail\n# the first: poll nothing here\n"
    assert servers.entries == (TWO[len(servers.common) : TWO.index("poll pop")], TWO[TWO.index("poll pop") :])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("poll a user x pass poll is poll here poll b user skip", ["a", "b"]),
        ("server a user x; pass p,poll b user y", ["a", "b"]),
        ("poll a user 'x' pass \"of\npoll c\" poll b user y", ["a", "b"]),
        ("poll a user x pass 'it is \"poll c' poll b user y", ["a", "b"]),
        ("poll a # poll c\nuser x pass foo#poll poll b user y", ["a", "b"]),
        ('poll a user x pass "open poll b user y', ["a", "b"]),
        ("poll a user x POLL c pollute d poll'e' 'f'poll g", ["a"]),
        ("skip a user x poll b user y skip c user z", ["b"]),
        ("set daemon 300\n", []),
        ("", []),
    ],
    ids=["values", "separators", "strings", "quotes", "comments", "no-string", "words", "skip", "globals", "empty"],
)
def test_where_an_entry_begins_for_fetchmail(text: str, names: list[str]) -> None:
    assert entries(text) == names


def test_defaults_hold_for_all_and_what_is_skipped_for_none() -> None:
    servers = split("set syslog\ndefaults proto pop3\nskip a user x\npoll b user y\n")
    assert servers.common == "set syslog\ndefaults proto pop3\n"
    assert servers.entries == ("poll b user y\n",)


@given(st.text(alphabet="poll server skip defaults user \"'#\n;=\\ab") | st.text())
def test_nothing_is_lost_or_made_up(text: str) -> None:
    servers = split(text)
    assert servers.text == text
    assert all(part in text for part in servers.entries)
    if "skip" not in text and "defaults" not in text:
        assert servers.common + "".join(servers.entries) == text


@given(st.lists(st.sampled_from(["poll a user x pass 'p # q' is y here", 'server b proto imap user "z" keep'])))
def test_every_entry_is_found_and_found_again_alone(wanted: list[str]) -> None:
    servers = split("set syslog\n" + "".join(f"{entry}\n" for entry in wanted))
    assert [entry.strip() for entry in servers.entries] == wanted
    assert all(split(servers.common + entry).entries == (entry,) for entry in servers.entries)


def staged(servers: Servers, *, parallel: bool) -> Stage:
    stage = Stage()
    stage.add(RC, "set daemon 300\nset syslog\n", owner="fetchmail", mode=0o700)
    apply(stage, servers, parallel=parallel)
    return stage


def test_all_servers_follow_the_general_part() -> None:
    file = staged(split(TWO), parallel=False).files[RC]
    assert file.content.decode() == f"set daemon 300\nset syslog\n{TWO}"
    assert (file.source(5), file.source(1)) == ("fetchmail.cf:3", f"{RC}:1")


def test_in_parallel_each_has_a_file_of_its_own_too() -> None:
    stage = staged(split(TWO), parallel=True)
    assert list(stage.files) == [RC, "/etc/fetchmailrc.d/fetchmail-1.rc", "/etc/fetchmailrc.d/fetchmail-2.rc"]
    for number, entry in enumerate(split(TWO).entries, 1):
        file = stage.files[f"/etc/fetchmailrc.d/fetchmail-{number}.rc"]
        assert file.content.decode() == f"set daemon 300\nset syslog\n{split(TWO).common}{entry}"
        assert (file.owner, file.group, file.mode) == ("fetchmail", "root", 0o700)


def test_nothing_is_staged_when_nothing_is_fetched() -> None:
    stage = Stage()
    apply(stage, split(TWO), parallel=True)
    assert not stage.files


def loaded(system: System, **environ: str) -> tuple[Servers, Findings]:
    findings = Findings()
    return servers_of(load(environ, fqdn="mail.hill.test").settings, system.root, findings), findings


def test_the_file_is_read_only_where_mail_is_fetched(system: System) -> None:
    system.volume("fetchmail.cf", TWO)
    assert loaded(system) == (Servers(), Findings())
    assert loaded(system, ENABLE_FETCHMAIL="1") == (split(TWO), Findings())


def test_windows_lines_and_a_last_line_without_an_end_are_read(system: System) -> None:
    system.volume("fetchmail.cf", TWO.rstrip("\n").replace("\n", "\r\n"))
    servers, findings = loaded(system, ENABLE_FETCHMAIL="1")
    assert servers == split(TWO)
    assert [warning.where for warning in findings.warnings] == ["fetchmail.cf:1"]


@pytest.mark.parametrize("text", [None, "set no bouncemail\nskip a user x\n"])
def test_nothing_to_fetch_is_told(system: System, text: str | None) -> None:
    if text is not None:
        system.volume("fetchmail.cf", text)
    servers, findings = loaded(system, ENABLE_FETCHMAIL="1")
    assert servers.entries == ()
    assert [(type(warning), warning.where) for warning in findings.warnings] == [(Severe, "ENABLE_FETCHMAIL")]
