"""Reading the config volume: what each line means, and what is said about lines that mean nothing."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsinit.problem import ProblemsFound, Severe
from dmsinit.volume import AccessRule, Account, Alias, Master, RelayRoute, SaslPassword, Volume, read
from dmsinit.volume import files as volume_files
from dmsinit.volume.files import Findings, decode
from dmsinit.volume.reader import parse_lines

HASH = "{SHA512-CRYPT}$6$salt$secrethash"


def volume_of(tmp_path: Path, **files: str) -> Volume:
    """Read a volume with files given by a short name: accounts="…", aliases="…"."""
    for name, text in files.items():
        (tmp_path / getattr(volume_files, name.upper())).write_bytes(text.encode())
    return read(tmp_path)


def errors_of(tmp_path: Path, **files: str) -> list[str]:
    with pytest.raises(ProblemsFound) as caught:
        volume_of(tmp_path, **files)
    return [str(problem) for problem in caught.value.problems]


def test_an_empty_or_missing_directory_says_nothing(tmp_path: Path) -> None:
    assert read(tmp_path) == Volume(tmp_path)
    assert read(tmp_path / "missing").accounts == ()


def test_accounts_with_comments_blank_lines_and_extra_fields(tmp_path: Path) -> None:
    extra = "userdb_mail_path=/var/mail/x userdb_a=b"
    text = f"# c\n\n   # indented|x\n  \nanna@hill.test|{HASH}\nbob@x.test|{HASH}|{extra}\n"
    volume = volume_of(tmp_path, accounts=text)
    assert volume.accounts == (Account("anna@hill.test", HASH), Account("bob@x.test", HASH, extra))
    assert (volume.accounts[1].local_part, volume.accounts[1].domain) == ("bob", "x.test")
    assert volume.domains == ("hill.test", "x.test")
    assert volume.warnings == ()
    assert volume.present == {"postfix-accounts.cf"}


def test_fields_of_dovecot_2_3_are_translated_or_refused_with_their_line(tmp_path: Path) -> None:
    volume = volume_of(tmp_path, accounts=f"a@x.test|{HASH}|userdb_mail=mbox:/var/mail/%n\n")
    assert volume.accounts[0].extra == "userdb_mail_driver=mbox userdb_mail_path=/var/mail/a"
    assert [warning.where for warning in volume.warnings] == ["postfix-accounts.cf:1"]
    (error,) = errors_of(tmp_path, accounts=f"a@x.test|{HASH}\nb@x.test|{HASH}|userdb_mail=/x\n")
    assert error.startswith("postfix-accounts.cf:2: userdb_mail=/x is Dovecot 2.3 syntax")


def test_all_errors_come_at_once_with_file_and_line_and_without_hashes(tmp_path: Path) -> None:
    accounts = (
        f"anna|{HASH}\nok@hill.test|{HASH}\nbob@hill.test\n{HASH}\n{{PLAIN}}secrethash@x|y\na@x.test {HASH}\n"
        f"d@x.test|a:b\na@x.test:{HASH}\n"
    )
    found = errors_of(tmp_path, accounts=accounts, masters=f"ad min|{HASH}\nroot|\n")
    assert [text.split(": ")[0] for text in found] == [
        *(f"postfix-accounts.cf:{line}" for line in (1, 3, 4, 5, 6, 7, 8)),
        "dovecot-masters.cf:1",
        "dovecot-masters.cf:2",
    ]
    assert "bob@hill.test has no password hash; set one: setup email update bob@hill.test" in found[1]
    assert "secrethash" not in "".join(found)


@pytest.mark.parametrize(
    "name",
    ["x+tag@x.test", "a%b@x.test", "a!b@x.test", "élodie@x.test", "a?b@x.test", "a*b@x.test", "../x@x.test", "c@..",
     "a b@x.test", "-a@x.test", "a;b@x.test", "a(b@x.test", "a@b@x.test", '"a"@x.test', "a@bücher.test", "a@localhost",
     "a@127.0.0.1", "a@[127.0.0.1]", "a@x..test", "a@x.test.", "a@-x.test", f"{'a' * 256}@x.test", f"a@{'d' * 64}.test",
     "a\\b@x.test", "a<b@x.test"],
)  # fmt: skip
def test_a_name_that_cannot_work_is_skipped_with_its_line(tmp_path: Path, name: str) -> None:
    volume = volume_of(tmp_path, accounts=f"anna@hill.test|{HASH}\n{name}|{HASH}\nbob@hill.test|{HASH}\n")
    assert [account.address for account in volume.accounts] == ["anna@hill.test", "bob@hill.test"]
    (warning,) = volume.warnings
    assert str(warning).startswith(f"postfix-accounts.cf:2: {name} cannot be the name of an account")
    assert "secrethash" not in str(warning)


@pytest.mark.parametrize("name", ["o'neil", "a=b", "a&b", "a#b", "a$b", "a{b}", "a^b", "a~b", "`a`", ".a.", "a" * 255])
def test_a_name_that_works_is_an_account(tmp_path: Path, name: str) -> None:
    volume = volume_of(tmp_path, accounts=f"{name}@hill.test|{HASH}\n")
    assert [account.local_part for account in volume.accounts] == [name]
    assert volume.warnings == ()


def test_master_users_have_names_that_dovecot_takes(tmp_path: Path) -> None:
    volume = volume_of(
        tmp_path, masters="".join(f"{name}|{HASH}\n" for name in ("Admin", "o'neil", "a/b", "é", "ad*min"))
    )
    assert [master.name for master in volume.masters] == ["admin", "o'neil"]
    assert [warning.where for warning in volume.warnings] == [f"dovecot-masters.cf:{line}" for line in (3, 4, 5)]


def test_fields_behind_the_hash_of_a_master_user_are_named(tmp_path: Path) -> None:
    volume = volume_of(tmp_path, masters=f"admin|{HASH}|userdb_x=1\nroot|{HASH}|\n")
    assert [master.password_hash for master in volume.masters] == [HASH, HASH]
    assert [warning.where for warning in volume.warnings] == ["dovecot-masters.cf:1"]


def test_aliases_that_nobody_can_write_to_are_named(tmp_path: Path) -> None:
    volume = volume_of(tmp_path, aliases="élodie@x.test a@x.test\nb@x.test c@bücher.test\n")
    assert [warning.where for warning in volume.warnings] == ["postfix-virtual.cf:1", "postfix-virtual.cf:2"]
    assert "xn--bcher-kva.test" in volume.warnings[1].cause


def test_repeated_accounts_are_told_apart(tmp_path: Path) -> None:
    volume = volume_of(tmp_path, accounts=f"a@x.test|{HASH}\na@x.test|{HASH}\nA@x.test|{HASH}2\nb@x.test|plain\n")
    assert volume.accounts == (Account("a@x.test", HASH), Account("b@x.test", "plain"))
    assert [str(warning) for warning in volume.warnings] == [
        "postfix-accounts.cf:2: repeats the line of a@x.test and is skipped; delete it",
        "postfix-accounts.cf:3: the login has capitals and is read as a@x.test; write it in lower case",
        "postfix-accounts.cf:3: a@x.test is a duplicate entry; only the first is used; delete one of the two",
        "postfix-accounts.cf:4: the password hash of b@x.test does not name its scheme, so Dovecot takes it as CRYPT; "
        "put {SCHEME} in front of it",
    ]


def test_aliases_with_lists_catch_alls_continuation_and_quotes(tmp_path: Path) -> None:
    text = (
        "Sales@Hill.test anna@hill.test, bob@other.test,\n@hill.test anna@hill.test\nroot  anna@hill.test\n"
        "long@hill.test a@x.test,\n# between\n   b@x.test\n"
        '"two words"@q.test "a,b"@x.test c@x.test\nempty@x.test\nx@ y@x.test\n'
        "sales@hill.test late@x.test\n"
    )
    volume = volume_of(tmp_path, aliases=text)
    assert volume.aliases == (
        Alias("sales@hill.test", ("anna@hill.test", "bob@other.test")),
        Alias("@hill.test", ("anna@hill.test",)),
        Alias("root", ("anna@hill.test",)),
        Alias("long@hill.test", ("a@x.test", "b@x.test")),
        Alias('"two words"@q.test', ('"a,b"@x.test', "c@x.test")),
    )
    assert volume.domains == ("hill.test", "q.test")
    assert [warning.where for warning in volume.warnings] == [f"postfix-virtual.cf:{line}" for line in (8, 9, 10)]


def test_the_other_tables(tmp_path: Path) -> None:
    volume = volume_of(
        tmp_path,
        quotas="Anna@hill.test:5G\nb@x.test:0\nc@x.test:123\nd@x.test:1:2\n:5G\n",
        masters=f"admin|{HASH}\n",
        relay_map="@hill.test [smtp.relay.test]:587\n@direct.test\nuser@x.test\n",
        sasl_passwords="@hill.test user:pass word:with:colons\nbad\n",
        send_access="spam@hill.test \t REJECT\nok@x.test OK\nnothing@x.test\n",
        receive_access="a@x.test reject no thanks\n",
        local_aliases="devnull: /dev/null\nroot: me\nmalformed\n",
        regexp="/^qa[0-9]+@hill\\.test$/ qa@hill.test\nif /x/\n!/y/i z@x.test\nendif\nnonsense\n/open target\n",
    )
    assert volume.quotas == {"anna@hill.test": "5G", "b@x.test": "0"}
    assert volume.masters == (Master("admin", HASH),)
    assert volume.relay_map == (RelayRoute("@hill.test", "[smtp.relay.test]:587"), RelayRoute("@direct.test", ""))
    assert volume.sasl_passwords == (SaslPassword("@hill.test", "user", "pass word:with:colons"),)
    assert volume.send_access[1] == AccessRule("ok@x.test", "OK")
    assert (volume.send_denied, volume.receive_denied) == (("spam@hill.test",), ("a@x.test",))
    assert volume.local_aliases == ("devnull: /dev/null",)
    assert len(volume.regexp_lines) == 6
    assert sorted(warning.where for warning in volume.warnings) == [
        "dovecot-quotas.cf:3",
        "dovecot-quotas.cf:4",
        "dovecot-quotas.cf:5",
        "postfix-aliases.cf:2",
        "postfix-aliases.cf:3",
        "postfix-regexp.cf:5",
        "postfix-regexp.cf:6",
        "postfix-relaymap.cf:3",
        "postfix-sasl-password.cf:2",
        "postfix-send-access.cf:3",
    ]


def test_relays_to_which_nothing_can_be_sent_are_refused_and_senders_that_never_match_are_named(tmp_path: Path) -> None:
    text = "@a.test [relay.test]:587\n@b.test [relay.test]587\nno-at relay\n@c.test relay.test:\n"
    with pytest.raises(ProblemsFound) as refused:
        volume_of(tmp_path, relay_map=text)
    assert [problem.where for problem in refused.value.problems] == ["postfix-relaymap.cf:2", "postfix-relaymap.cf:4"]
    assert "[relay.test]587 has 587 where :port belongs" in refused.value.problems[0].cause
    (warning,) = volume_of(tmp_path, relay_map="no-at relay\n").warnings
    assert str(warning) == (
        "postfix-relaymap.cf:1: no-at is not a sender, so the line is never used; "
        "write @no-at for a domain, user@domain for a sender"
    )


def test_secrets_are_not_in_a_repr(tmp_path: Path) -> None:
    accounts, passwords = f"a@x.test|{HASH}\n", "@x.test user:relaysecret\n"
    text = repr(volume_of(tmp_path, accounts=accounts, masters=f"admin|{HASH}\n", sasl_passwords=passwords))
    assert "a@x.test" in text
    assert "secrethash" not in text
    assert "relaysecret" not in text


def test_windows_files_are_read_with_one_warning_each(tmp_path: Path) -> None:
    text = f"\ufeff# c\na@x.test|{HASH}\r\nb@x.test|{HASH}\r\nc@x.test|{HASH}"
    volume = volume_of(tmp_path, accounts=text)
    assert [account.address for account in volume.accounts] == ["a@x.test", "b@x.test", "c@x.test"]
    assert {account.password_hash for account in volume.accounts} == {HASH}
    assert [warning.where for warning in volume.warnings] == ["postfix-accounts.cf:1", "postfix-accounts.cf:2"]


def test_a_line_that_is_not_text_is_skipped_and_damages_no_other(tmp_path: Path) -> None:
    lines = (
        b"# caf\xe9",
        b"caf\xe9@x.test|{PLAIN}x",
        b"b@x.test|{PLAIN}\0",
        b"c\x01@x.test|{PLAIN}x",
        b"d@x.test|{PLAIN}x",
    )
    (tmp_path / "postfix-accounts.cf").write_bytes(b"\n".join(lines))
    (tmp_path / "postfix-virtual.cf").write_bytes(b"a@x.test d@x.test\nb@x.test d@x.test\x7f\n")
    volume = read(tmp_path)
    assert [account.address for account in volume.accounts] == ["d@x.test"]
    assert [alias.address for alias in volume.aliases] == ["a@x.test"]
    assert [str(warning).partition(";")[0] for warning in volume.warnings] == [
        "postfix-accounts.cf:2: is not UTF-8",
        "postfix-accounts.cf:3: contains a control character (0x00)",
        "postfix-accounts.cf:4: contains a control character (0x01)",
        "postfix-virtual.cf:2: contains a control character (0x7f)",
    ]
    assert all(isinstance(warning, Severe) for warning in volume.warnings)


def test_a_directory_in_place_of_a_file_is_ignored_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "postfix-virtual.cf").mkdir()
    volume = read(tmp_path)
    assert volume.aliases == ()
    assert str(volume.warnings[0]).startswith("postfix-virtual.cf: is a directory where a file belongs; it is ignored")


@given(
    st.dictionaries(st.sampled_from(volume_files.ALL), st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
)
def test_any_bytes_make_a_volume_or_problems_with_a_place(contents: dict[str, bytes]) -> None:
    findings = Findings()
    lines = {name: decode(name, data, findings) for name, data in contents.items()}
    volume = parse_lines(Path("/volume"), lines, findings)
    assert isinstance(volume.domains, tuple)
    assert isinstance(volume.dummies, tuple)
    for problem in (*findings.errors, *findings.warnings):
        name, _, number = problem.where.partition(":")
        assert name in contents
        assert 1 <= int(number) <= contents[name].count(b"\n") + 1
        str(problem).encode()
    for account in volume.accounts:
        assert "/" not in account.address
        assert ":" not in account.password_hash
        assert account.domain in volume.domains


def test_ten_thousand_accounts_cost_little_and_more_cost_in_proportion(tmp_path: Path) -> None:
    def seconds(count: int) -> float:
        text = "".join(f"user{number}@d{number % 50}.test|{HASH}\n" for number in range(count))
        (tmp_path / "postfix-accounts.cf").write_text(text)
        began = time.process_time()
        assert len(read(tmp_path).accounts) == count
        return time.process_time() - began

    small = min(seconds(10_000) for _ in range(3))
    # Generous bounds: they catch a quadratic step, not a slow machine.
    assert small < 0.5
    assert seconds(100_000) < 40 * small
