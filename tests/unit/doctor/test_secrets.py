"""Which files of the config volume with secrets everybody in the container can read."""

from pathlib import Path

from dmsinit.doctor import checks, secrets
from dmsinit.doctor.facts import Facts


def test_secrets_that_everybody_can_read_are_named(tmp_path: Path) -> None:
    for name, mode in (("postfix-accounts.cf", 0o600), ("fetchmail.cf", 0o644), ("postfix-virtual.cf", 0o644)):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(mode)
    for folder, mode in (("open.test", 0o755), ("closed.test", 0o700)):
        key = tmp_path / "opendkim" / "keys" / folder / "mail.private"
        key.parent.mkdir(parents=True)
        key.write_text("x")
        key.chmod(0o644)
        key.parent.chmod(mode)
    exposed = tuple(secrets.exposed(tmp_path))
    assert exposed == ("fetchmail.cf", "opendkim/keys/open.test/mail.private")
    (finding,) = checks.secrets(Facts(exposed=exposed))
    assert finding.level == "warn"
    assert finding.remedy == "in the config volume, run: chmod o-r fetchmail.cf opendkim/keys/open.test/mail.private"
    assert list(checks.secrets(Facts())) == []
