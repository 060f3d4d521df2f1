"""`setup` as people and scripts use it: outputs, exit codes, files."""

import io
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dmsinit.cli.setup import main
from dmsinit.cli.setup.session import Session
from dmsinit.cli.setup.verb import Verb
from dmsinit.log import Log
from dmsinit.volume import read

Run = Callable[..., tuple[int, str, str]]
HASH = "{SHA512-CRYPT}$6$salt$secrethash"

CHILD = """
import sys
from pathlib import Path
from dmsinit.cli.setup import main as setup
from dmsinit.cli.setup.session import Session
from dmsinit.cli.setup.verb import Verb
sys.exit(setup.run(sys.argv[2:], Session(config=Path(sys.argv[1]))))
"""


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run one command in a fresh session on the volume `tmp_path/config`; returns exit code, stdout, stderr."""

    def run_command(*arguments: str, stdin: str = "", **settings: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        session = Session(
            config=tmp_path / "config",
            mail=tmp_path / "mail",
            settings_file=tmp_path / "dms-settings",
            log=Log("setup"),
        )
        code = main.run(arguments, session)
        return code, *capfd.readouterr()

    return run_command


def test_usage_and_invalid_commands(run: Run) -> None:
    code, usage, _ = run()
    assert code == 0
    assert "setup email add ADDRESS [PASSWORD]" in usage
    assert run("help") == (0, usage, "")
    for command in (("nonsense",), ("email", "frobnicate", "x"), ("email",), ("debug", "inspect")):
        code, output, errors = run(*command)
        assert (code, output) == (2, "")
        first, second = errors.splitlines()
        assert f"ERROR setup: the command 'setup {' '.join(command)}' is invalid" in first
        assert "setup help" in second


@pytest.mark.parametrize("verb", [verb for verb in main.verbs().values() if verb.has_help], ids=lambda verb: verb.name)
def test_every_verb_has_a_manual(run: Run, verb: Verb) -> None:
    code, output, errors = run(*verb.words, "help")
    assert (code, errors) == (0, "")
    for heading in ("NAME", "USAGE", "OPTIONS", "DESCRIPTION", "EXIT STATUS"):
        assert f"{heading}\n    " in output
    if verb.minimum:
        code, usage, errors = run(*verb.words)
        assert (code, usage) == (1, output)
        assert f"`setup {verb.name}` needs {verb.arguments}" in errors


def test_a_group_lists_its_verbs(run: Run) -> None:
    code, output, _ = run("alias", "help")
    assert code == 0
    assert [line.split()[2] for line in output.splitlines()] == ["add", "del", "list"]


def test_the_executables_of_the_contract_are_there(tmp_path: Path) -> None:
    table = Path(__file__).parents[3] / "contract" / "setup-cli.tsv"
    row = next(line for line in table.read_text().splitlines() if line.startswith("addmailuser"))
    names = row.split("\t")[0].split(", ")
    assert set(names) == set(main.LEGACY_NAMES)
    assert set(main.LEGACY_NAMES.values()) <= set(main.verbs())


def test_an_executable_is_chosen_by_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/local/bin/addmailuser", "help"])
    before = signal.getsignal(signal.SIGPIPE)
    try:
        assert main.main() == 0
    finally:
        signal.signal(signal.SIGPIPE, before)  # else the first closed pipe ends the tests that follow
    assert "setup email add" in capsys.readouterr().out


def test_accounts_are_added_updated_and_listed(run: Run, tmp_path: Path) -> None:
    assert run("email", "add", "anna@hill.test", r"""a "b" 'c' \d.""") == (0, "", "")
    code, output, errors = run("email", "add", "Bob@Hill.test", "x")
    assert (code, output) == (0, "")
    assert "WARN  setup: Bob@Hill.test has capitals; it is stored as bob@hill.test" in errors
    before = read(tmp_path / "config").accounts
    assert run("email", "update", "anna@hill.test", "y") == (0, "", "")
    after = read(tmp_path / "config").accounts
    assert after[0] != before[0]
    assert after[1] == before[1]
    run("alias", "add", "sales@hill.test", "bob@hill.test,anna@hill.test")
    run("alias", "add", "all@hill.test", "bob@hill.test")
    expected = (
        "* anna@hill.test\n    [ aliases -> sales@hill.test ]\n\n"
        "* bob@hill.test\n    [ aliases -> sales@hill.test, all@hill.test ]\n\n"
    )
    assert run("email", "list", ENABLE_QUOTAS="0") == (0, expected, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("email", "add", "anna", "x"), "no local part or domain"),
        (("email", "add", "a@x.test", "x"), "the account exists"),
        (("email", "add", "alias@x.test", "x"), "it is an alias"),
        (("email", "add", "new@x.test", ""), "must not be empty"),
        (("email", "add", "new@x.test", "two", "words"), "put what holds blanks in quotes"),
        (("email", "update", "b@x.test", "x"), "no account b@x.test exists"),
        (("email", "del", "-x", "a@x.test"), "unknown option -x"),
        (("email", "del", "-y"), "no address was given"),
        (("email", "del", "-n", "b@x.test"), "no account b@x.test exists"),
        (("email", "restrict", "del", "send", "b@x.test"), "does not list it"),
        (("email", "restrict", "add", "both", "b@x.test"), "usage: setup email restrict"),
        (("email", "restrict", "nonsense"), "usage: setup email restrict"),
        (("alias", "add", "a@x.test", "b@x.test"), "it is an account"),
        (("alias", "add", "alias@x.test", "A@x.test"), "already"),
        (("quota", "set", "b@x.test", "5G"), "no account b@x.test exists"),
        (("quota", "set", "a@x.test", "123"), "is not a size"),
        (("quota", "set", "anna", "5G"), "no local part or domain"),
        (("quota", "del", "b@x.test"), "no account b@x.test exists"),
        (("dovecot-master", "update", "admin", "x"), "does not exist"),
        (("dovecot-master", "list"), "does not exist"),
        (("relay", "add-domain", "x.test", "host", "smtp"), "as port"),
        (("config", "dkim", "keysize"), "keysize needs a value"),
        (("config", "dkim", "keysize", "many"), "is not a number"),
        (("config", "dkim", "colour", "blue"), "unknown option colour"),
    ],
)
def test_refusals_are_one_line_and_change_nothing(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    run("email", "add", "a@x.test", "x")
    run("alias", "add", "alias@x.test", "a@x.test")
    before = {path: path.read_bytes() for path in (tmp_path / "config").iterdir()}
    code, _, errors = run(*arguments)
    assert code == 1
    assert message in errors.splitlines()[-1]
    assert len(errors.splitlines()) == 1
    assert {path: path.read_bytes() for path in (tmp_path / "config").iterdir()} == before


def test_lists_without_a_file_and_with_an_empty_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    files = {"email": "postfix-accounts.cf", "alias": "postfix-virtual.cf", "dovecot-master": "dovecot-masters.cf"}
    for group, name in files.items():
        code, output, errors = run(group, "list")
        assert (code, output) == (1, "")
        assert f"{name} does not exist" in errors
        (tmp_path / "config" / name).write_text("# nothing\n")
        code, output, errors = run(group, "list", "help")
        assert (code, output) == (1, "")
        assert f"{name} holds no" in errors
    code, _, errors = run("email", "list", ACCOUNT_PROVISIONER="LDAP")
    assert code == 1
    assert "ACCOUNT_PROVISIONER" in errors


def test_settings_of_the_server_come_before_the_environment(run: Run, tmp_path: Path) -> None:
    run("email", "add", "a@x.test", "x")
    (tmp_path / "dms-settings").write_text("ACCOUNT_PROVISIONER='FILE'\nENABLE_QUOTAS='0'\nBROKEN='\n")
    assert run("email", "list", ACCOUNT_PROVISIONER="LDAP") == (0, "* a@x.test\n\n", "")


def make_mailboxes(root: Path) -> None:
    for name in ("a", "ax"):
        (root / "mail" / "d.test" / name / "cur").mkdir(parents=True)


def test_deleting_with_the_mailbox(run: Run, tmp_path: Path) -> None:
    for name in ("a", "ax"):
        run("email", "add", f"{name}@d.test", "x")
    make_mailboxes(tmp_path)
    run("quota", "set", "a@d.test", "5G")
    run("alias", "add", "all@d.test", "a@d.test,ax@d.test")
    code, _, errors = run("email", "del", "-y", "a@d.test")
    assert code == 0
    assert "INFO  setup: the account a@d.test is deleted" in errors
    volume = read(tmp_path / "config")
    assert [account.address for account in volume.accounts] == ["ax@d.test"]
    assert volume.aliases[0].targets == ("ax@d.test",)
    assert volume.quotas == {}
    assert [path.name for path in (tmp_path / "mail" / "d.test").iterdir()] == ["ax"]
    assert not list((tmp_path / "config").glob("*.lock"))


@pytest.mark.parametrize(("answer", "kept"), [("\n", True), ("n\n", True), ("y\n", False), ("YES\n", False)])
def test_the_mailbox_is_kept_unless_the_answer_is_yes(run: Run, tmp_path: Path, answer: str, kept: bool) -> None:
    run("email", "add", "a@d.test", "x")
    make_mailboxes(tmp_path)
    code, _, errors = run("email", "del", "a@d.test", stdin=answer)
    assert code == 0
    assert "[y/N]" in errors
    assert (tmp_path / "mail" / "d.test" / "a").exists() == kept
    assert read(tmp_path / "config").accounts == ()


def test_nobody_waits_for_a_person_who_is_asked(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        run("email", "add", f"{name}@d.test", "x")
    asked: list[list[str]] = []

    def ask(_: Session, question: str) -> str:
        asked.append([path.name for path in (tmp_path / "config").glob("*.lock")])
        return "n"

    monkeypatch.setattr(Session, "ask", ask)
    assert run("email", "del", "a@d.test", "b@d.test")[0] == 0
    assert asked == [[], []]


def test_what_the_third_column_says_is_not_lost_without_a_word(run: Run, tmp_path: Path) -> None:
    make_mailboxes(tmp_path)
    (tmp_path / "config").mkdir()
    accounts = tmp_path / "config" / "postfix-accounts.cf"
    accounts.write_text(f"a@d.test|{HASH}|userdb_mail=maildir:/srv/%n\nax@d.test|{HASH}|userdb_mail_path=/x\n")
    assert "the mail of a@d.test in /srv/a (userdb_mail_path) is kept" in run("email", "del", "-y", "a@d.test")[2]
    code, _, errors = run("email", "update", "ax@d.test", "new")
    assert code == 0
    assert "the third column of ax@d.test is dropped; add it again by hand" in errors
    assert "userdb_mail_path=/x" in errors
    assert "secrethash" not in errors


def test_deleting_where_there_is_nothing(run: Run, tmp_path: Path) -> None:
    assert run("email", "del", "-y", "a@d.test") == (0, "", "")
    run("email", "add", "a@d.test", "x")
    run("email", "add", "b@d.test", "x")
    code, _, errors = run("email", "del", "-y", "a@d.test", "missing@d.test", "b@d.test")
    assert code == 1
    assert errors.count("ERROR") == 3
    assert read(tmp_path / "config").accounts == ()


def test_an_end_of_input_deletes_nothing(run: Run, tmp_path: Path) -> None:
    run("email", "add", "a@d.test", "x")
    code, _, errors = run("email", "del", "a@d.test")
    assert code == 1
    assert "no answer was given" in errors
    assert len(read(tmp_path / "config").accounts) == 1


def test_aliases(run: Run, tmp_path: Path) -> None:
    assert run("alias", "add", "s@x.test", "a@x.test, b@x.test") == (0, "", "")
    assert run("alias", "add", "s@x.test", "c@x.test") == (0, "", "")
    assert run("alias", "list") == (0, "* s@x.test a@x.test,b@x.test,c@x.test\n\n", "")
    assert run("alias", "del", "s@x.test", "b@x.test") == (0, "", "")
    for words, reason in (
        (("s@x.test", "a@x.test,unknown@x.test"), "not a recipient of the alias s@x.test: unknown@x.test"),
        (("unknown@x.test", "a@x.test"), "no alias unknown@x.test exists"),
    ):
        code, output, errors = run("alias", "del", *words)
        assert (code, output) == (0, ""), "the contract's"
        assert reason in errors
    assert run("alias", "add", "s@x.test", "a@x.test")[0] == 0
    assert run("alias", "del", "s@x.test", " ")[0] == 1
    assert (tmp_path / "config" / "postfix-virtual.cf").read_text() == "s@x.test c@x.test,a@x.test\n"


@pytest.mark.parametrize("words", [["help"], ["-v", "help"], ["-vv", "--help"], ["--force", "-v", "-h"]])
def test_help_is_found_behind_flags(run: Run, words: list[str]) -> None:
    code, output, errors = run("config", "dkim", *words)
    assert (code, errors) == (0, "")
    assert "make DKIM keys" in output


def test_restrictions(run: Run) -> None:
    assert run("email", "restrict", "list", "send") == (0, "Everyone is allowed to send\n", "")
    assert run("email", "restrict", "list")[1] == "Everyone is allowed to send\nEveryone is allowed to receive\n"
    assert run("email", "restrict", "add", "send", "spam@x.test") == (0, "", "")
    code, _, errors = run("email", "restrict", "add", "send", stdin="other@x.test\n")
    assert (code, errors) == (0, "Enter address: ")
    assert run("email", "restrict", "list", "send") == (0, "spam@x.test\tREJECT\nother@x.test\tREJECT\n", "")
    assert run("email", "restrict", "del", "send", "spam@x.test") == (0, "", "")
    assert run("email", "restrict", "add")[0] == 1


def test_quotas_masters_and_relays(run: Run, tmp_path: Path) -> None:
    run("email", "add", "a@x.test", "x")
    assert run("quota", "set", "a@x.test", "5G") == (0, "", "")
    assert run("quota", "set", "a@x.test", stdin="7G\n")[0] == 0
    assert read(tmp_path / "config").quotas == {"a@x.test": "7G"}
    assert run("quota", "del", "a@x.test") == (0, "", "")
    code, _, errors = run("quota", "del", "a@x.test")
    assert (code, "a@x.test has no quota of its own" in errors) == (0, True)
    assert run("dovecot-master", "add", "admin", "x") == (0, "", "")
    assert run("dovecot-master", "list") == (0, "* admin\n\n", "")
    code, _, errors = run("dovecot-master", "del", "admin", "unknown")
    assert (code, "no master user unknown exists" in errors) == (0, True)
    assert "admin" not in errors
    assert run("relay", "add-domain", "x.test", "relay.test") == (0, "", "")
    code, _, errors = run("relay", "exclude-domain", "y.test")
    assert (code, "no account or alias is in y.test" in errors) == (0, True)
    assert (tmp_path / "config" / "postfix-relaymap.cf").read_text() == "@x.test [relay.test]:25\n@y.test\n"
    code, _, errors = run("relay", "add-auth", "x.test", "user", stdin="secret\nsecret\n")
    assert code == 0
    assert "secret" not in errors
    assert (tmp_path / "config" / "postfix-sasl-password.cf").read_text() == "@x.test user:secret\n"


@pytest.mark.parametrize(
    ("typed", "message"),
    [("", "no answer was given"), ("\n", "must not be empty"), ("a\nb\n", "differ"), ("a\n", "no answer was given")],
)
def test_passwords_from_a_pipe_are_checked(run: Run, tmp_path: Path, typed: str, message: str) -> None:
    code, _, errors = run("email", "add", "a@x.test", stdin=typed)
    assert code == 1
    assert message in errors
    assert not (tmp_path / "config" / "postfix-accounts.cf").exists()


def on_a_terminal(config: Path, arguments: list[str], typed: list[bytes]) -> tuple[int, bytes]:
    """Run setup on a terminal of its own, typing each answer when its question stands there."""
    master, slave = pty.openpty()
    command = [sys.executable, "-c", CHILD, str(config), *arguments]
    # A new session without a controlling terminal: questions are asked on standard input and error.
    child = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    seen = b""
    for answer in typed:
        question = seen.count(b": ") + 1
        while seen.count(b": ") < question:
            seen += os.read(master, 1024)
        os.write(master, answer)
    try:
        while data := os.read(master, 1024):
            seen += data
    except OSError:
        pass  # EIO: the other end is closed
    os.close(master)
    return child.wait(), seen


def test_passwords_typed_on_a_terminal_are_not_shown(tmp_path: Path) -> None:
    code, seen = on_a_terminal(tmp_path, ["email", "add", "a@x.test"], [b"geheim\n", b"geheim\n"])
    assert code == 0
    assert b"Enter password: " in seen
    assert b"Confirm password: " in seen
    assert b"geheim" not in seen
    assert len(read(tmp_path).accounts) == 1


def test_end_of_input_on_a_terminal_is_clean(tmp_path: Path) -> None:
    code, seen = on_a_terminal(tmp_path, ["email", "add", "a@x.test"], [b"\x04"])
    assert code == 1
    assert b"nothing was changed" in seen
    assert b"Traceback" not in seen


def test_an_interrupt_at_a_question_is_clean(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path), "email", "add", "a@x.test"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stderr
        assert child.stderr.read(16) == b"Enter password: "
        child.send_signal(2)
        _, errors = child.communicate()
    assert (child.returncode, errors) == (130, b"\n")
    assert list(tmp_path.iterdir()) == []


def test_dkim_keys(run: Run, tmp_path: Path) -> None:
    code, output, errors = run("config", "dkim")
    assert (code, output) == (0, "")
    assert "WARN  setup: cannot make a key" in errors
    run("email", "add", "a@x.test", "x")
    code, _, errors = run("config", "dkim", "selector", "s1", "keysize", "1024")
    assert code == 0
    assert errors.count("INFO  setup: created") == 1
    assert run("config", "dkim", "keysize", "1024", "selector", "s1", "domain", "x.test") == (0, "", "")
    assert (tmp_path / "config" / "opendkim" / "keys" / "x.test" / "s1.private").exists()


def test_a_shell_replaces_setup(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path), "debug", "login", "echo hi; exit 7"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (7, "hi\n", "")
