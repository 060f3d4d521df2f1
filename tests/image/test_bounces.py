"""Bounces that this server writes are signed, so that the receiver believes them."""

from pathlib import Path

from tests.image.harness import DOMAIN, Containers, account, letter

ANNA = f"anna@{DOMAIN}"


def test_our_own_bounces_are_signed(containers: Containers, tmp_path: Path) -> None:
    (tmp_path / "postfix-accounts.cf").write_text(account(ANNA))
    assert containers.command("setup", "config", "dkim", "keysize", "2048", "domain", DOMAIN, config=tmp_path).code == 0
    server = containers.start({}, tmp_path, environment={"ENABLE_AMAVIS": "0", "ENABLE_OPENDMARC": "0"})
    server.wait_until_up()
    with server.smtp(465, login=ANNA) as smtp:
        smtp.sendmail(ANNA, [f"unknown@{DOMAIN}"], letter(f"unknown@{DOMAIN}", "comes back", ANNA).as_bytes())
    bounce = server.receive(ANNA, "Undelivered Mail Returned to Sender")
    assert "MAILER-DAEMON@mail.example.test" in bounce["From"]
    assert f"d={DOMAIN}; s=mail;" in " ".join(str(bounce["DKIM-Signature"]).split())
    server.remove()
