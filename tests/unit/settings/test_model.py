"""The settings object, its effective and its masked view, and the files that shells read."""

import subprocess
from pathlib import Path

import pytest

from dmsinit.settings import exports, load, settings_file

FQDN = "mail.example.test"


def test_settings_are_frozen() -> None:
    settings = load({}, fqdn=FQDN).settings
    with pytest.raises(AttributeError):
        settings.enable_imap = False
    with pytest.raises(AttributeError):
        settings.invented = "x"


def test_equal_when_effective_values_are() -> None:
    assert load({}, fqdn=FQDN).settings == load({"ENABLE_IMAP": "1", "SA_TAG": "2.0"}, fqdn=FQDN).settings
    assert load({}, fqdn=FQDN).settings != load({"ENABLE_IMAP": "0"}, fqdn=FQDN).settings
    assert load({}, fqdn=FQDN).settings != "settings"


def test_masked_hides_what_effective_shows() -> None:
    environ = {
        "RELAY_PASSWORD": "hunter2",
        "LDAP_TLS_PASSPHRASE": "hunter2",
        "OAUTH2_INTROSPECTION_URL": "https://me:hunter2@auth.test/introspect",
        "RELAY_USER": "me",
    }
    settings = load(environ, fqdn=FQDN).settings
    assert settings.effective()["RELAY_PASSWORD"] == "hunter2"
    masked = settings.masked()
    assert "hunter2" not in str(masked)
    assert masked["OAUTH2_INTROSPECTION_URL"] == "https://********@auth.test/introspect"
    assert masked["RELAY_USER"] == "me"
    assert masked["SRS_SECRET"] == ""
    assert list(masked) == sorted(masked)


NASTY = "a'b\"c $HOME `id` \\ !x *"


def test_a_shell_reads_the_settings_file_back(tmp_path: Path) -> None:
    settings = load({"POSTGREY_TEXT": NASTY, "SPAM_SUBJECT": "[SPAM] "}, fqdn=FQDN).settings
    file = tmp_path / "dms-settings"
    file.write_text(settings_file(settings.effective()))
    script = f'. {file}; printf "%s|%s" "$POSTGREY_TEXT" "$SPAM_SUBJECT"'
    output = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert output == f"{NASTY}|[SPAM] "
    lines = file.read_text().splitlines()
    assert lines == sorted(lines)
    assert "ENABLE_IMAP='1'" in lines


def test_exports_reach_children(tmp_path: Path) -> None:
    file = tmp_path / "bashrc"
    file.write_text(exports(load({"POSTGREY_TEXT": NASTY}, fqdn=FQDN).settings.effective()))
    command = ["sh", "-c", f". {file}; exec printenv POSTGREY_TEXT"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == NASTY + "\n"
