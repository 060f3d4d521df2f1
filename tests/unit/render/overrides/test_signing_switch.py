"""A switch between OpenDKIM and Rspamd: what signs, and what is said."""

from pathlib import Path

from dmsinit.render.overrides import signing_switch
from dmsinit.render.paths import VOLUME
from dmsinit.render.stage import Stage
from dmsinit.settings import Settings, load
from dmsinit.volume import dkim as opendkim
from dmsinit.volume import rspamd_dkim
from tests.unit.render.conftest import System

RECORD = "mail._domainkey.a.test"


def settings(signer: str) -> Settings:
    switches = {"ENABLE_RSPAMD": str(int(signer == "rspamd")), "ENABLE_OPENDKIM": str(int(signer == "opendkim"))}
    return load(switches, fqdn="mail.example.test").settings


def volume(system: System) -> Path:
    place = Path(system.root(VOLUME))
    place.mkdir(parents=True, exist_ok=True)
    return place


def test_rspamd_signs_with_the_keys_of_opendkim(system: System) -> None:
    place, stage = volume(system), Stage()
    opendkim.make_keys(place, ("a.test",), selector="mail", bits=1024)
    texts: dict[str, str] = {}
    (warning,) = signing_switch.for_rspamd(stage, settings("rspamd"), system.root, texts)
    assert RECORD in warning.cause
    assert 'path = "/etc/rspamd/dkim/a.test.mail.key"' in texts["dkim_signing.conf"]
    key = stage.files["/etc/rspamd/dkim/a.test.mail.key"]
    assert (key.owner, key.mode) == ("_rspamd", 0o600)
    assert key.content == (place / "opendkim/keys/a.test/mail.private").read_bytes()
    assert signing_switch.for_rspamd(Stage(), settings("opendkim"), system.root, {}) == []


def test_opendkim_signs_with_the_keys_of_rspamd(system: System) -> None:
    place, stage = volume(system), Stage()
    made = rspamd_dkim.make_key(place, "a.test", selector="mail", kind="rsa", bits=1024)
    (warning,) = signing_switch.for_opendkim(stage, settings("opendkim"), system.root)
    assert RECORD in warning.cause
    path = "/etc/opendkim/keys/a.test/mail.private"
    assert stage.files["/etc/opendkim/KeyTable"].content.decode() == f"{RECORD} a.test:mail:{path}\n"
    assert stage.files["/etc/opendkim/SigningTable"].content.decode() == f"*@a.test {RECORD}\n"
    assert stage.files[path].content == made.private.read_bytes()
    assert signing_switch.for_opendkim(Stage(), settings("rspamd"), system.root) == []


def test_another_key_under_a_published_selector_is_named(system: System) -> None:
    place = volume(system)
    opendkim.make_keys(place, ("a.test", "b.test", "c.test"), selector="mail", bits=1024)
    rspamd_dkim.make_key(place, "a.test", selector="mail", kind="rsa", bits=1024)
    assert signing_switch.for_rspamd(Stage(), settings("rspamd"), system.root, {}) == []
    rspamd_dkim.make_key(place, "a.test", selector="mail", kind="rsa", bits=1024, force=True)
    configuration = place / rspamd_dkim.SIGNING
    configuration.write_text(
        configuration.read_text()
        .replace("b.test {", "d.test {")
        .replace('c.test.private.txt";\n    selector = "mail"', 'c.test.private.txt";\n    selector = "other"')
    )
    causes = [str(one) for one in signing_switch.for_rspamd(Stage(), settings("rspamd"), system.root, {})]
    assert f"{RECORD} has to change" in causes[0]
    assert "mail of b.test is not signed any more" in causes[1]
    assert "mail of c.test is signed as other._domainkey.c.test" in causes[2]
    assert len(signing_switch.for_opendkim(Stage(), settings("opendkim"), system.root)) == 3
