"""`setup config dkim` where Rspamd signs: options, outputs, exit codes."""

from pathlib import Path

import pytest

from dmsinit.cli.setup import main
from dmsinit.cli.setup.session import Session
from dmsinit.log import Log


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setenv("ENABLE_RSPAMD", "1")
    monkeypatch.setenv("ENABLE_OPENDKIM", "0")
    monkeypatch.setenv("OVERRIDE_HOSTNAME", "mail.hill.test")
    return Session(config=tmp_path, settings_file=tmp_path / "none")


def dkim(session: Session, *arguments: str) -> int:
    session.log = Log("setup")  # it keeps the standard error that it finds, and each test has one of its own
    return main.run(["config", "dkim", *arguments], session)


def test_the_text_to_publish_is_what_it_prints(session: Session, capfd: pytest.CaptureFixture[str]) -> None:
    assert dkim(session, "keysize", "1024", "selector", "s1", "--force", "-vv") == 0
    output, errors = capfd.readouterr()
    public = session.config / "rspamd/dkim/rsa-1024-s1-hill.test.public.dns.txt"
    assert output == public.read_text()
    assert "s1._domainkey.hill.test" in errors


def test_a_second_run_needs_force_and_keeps_the_configuration(
    session: Session, capfd: pytest.CaptureFixture[str]
) -> None:
    assert dkim(session, "keytype", "ed25519", "domain", "vale.test") == 0
    assert dkim(session, "keytype", "ed25519", "domain", "vale.test") == 1
    assert "use --force" in capfd.readouterr().err
    assert dkim(session, "-f", "keytype", "ed25519", "domain", "vale.test") == 0
    assert "dkim_signing.conf exists and stays as it is" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("keytype", "dsa"), "keytype dsa is not known"),
        (("keysize", "big"), "not a number of bits"),
        (("keytype", "ed25519", "keysize", "1024"), "has no size"),
        (("selector",), "selector needs a value"),
        (("colour", "red"), "unknown option colour"),
        (("domain", "../x"), "not a valid DNS name"),
    ],
)
def test_what_cannot_be_done_is_told(
    session: Session, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], complaint: str
) -> None:
    assert dkim(session, *arguments) == 1
    assert complaint in capfd.readouterr().err
    assert not (session.config / "rspamd").exists()


def test_with_both_on_the_keys_are_for_opendkim(
    session: Session, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENABLE_OPENDKIM", "1")
    assert dkim(session, "keysize", "1024", "domain", "hill.test") == 0
    assert "the keys are for OpenDKIM" in capfd.readouterr().err
    assert (session.config / "opendkim/keys/hill.test/mail.private").exists()
