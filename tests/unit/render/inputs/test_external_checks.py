"""Checking in a container that is not the server, and telling the settings."""

import json

import pytest

from dmsinit.log import Log
from dmsinit.render.flow import go
from dmsinit.render.inputs.effective import effective
from dmsinit.render.inputs.external_checks import assumed_name, excuse_certificates
from dmsinit.render.mode import Mode
from dmsinit.render.reporter import Reporter
from dmsinit.render.run import Run
from dmsinit.render.tls.ssl_type import choose
from dmsinit.render_protocol import EX_CONFIG
from dmsinit.settings import load
from tests.unit.render.conftest import System

FQDN = "mail.example.test"


def test_a_container_without_a_domain_gets_a_name_for_the_check() -> None:
    name, warnings = assumed_name("f00ba4", {})
    assert name == FQDN
    assert "assumes mail.example.test" in warnings[0].cause
    assert assumed_name("f00ba4", {"OVERRIDE_HOSTNAME": "m.hill.test"}) == ("f00ba4", [])
    assert assumed_name("m.hill.test", {}) == ("m.hill.test", [])


@pytest.mark.parametrize(
    "environ",
    [
        {"SSL_TYPE": "letsencrypt"},
        {"SSL_TYPE": "manual", "SSL_CERT_PATH": "/certs/c.pem", "SSL_KEY_PATH": "/certs/k.pem"},
    ],
)
def test_certificates_that_are_not_mounted_here_are_no_mistake(system: System, environ: dict[str, str]) -> None:
    settings = load(environ, fqdn=FQDN).settings
    choice = choose(settings, FQDN, "example.test", system.root)
    assert choice.problems
    excuse_certificates(choice, settings, system.root)
    assert not choice.problems
    assert "mount them here too" in choice.warnings[-1].remedy


def test_a_wrong_name_in_a_mounted_directory_is_a_mistake(system: System) -> None:
    system.write("/certs/other.pem", "")
    environ = {"SSL_TYPE": "manual", "SSL_CERT_PATH": "/certs/c.pem", "SSL_KEY_PATH": "/certs/k.pem"}
    settings = load(environ, fqdn=FQDN).settings
    choice = choose(settings, FQDN, "example.test", system.root)
    excuse_certificates(choice, settings, system.root)
    assert choice.problems


def test_settings_tell_where_they_come_from() -> None:
    environ = {
        "ENABLE_POP3": "1", "RELAY_HOST": "r.test", "RELAY_USER": "u", "RELAY_PASSWORD__FILE": "/run/secret",
        "SA_SPAM_SUBJECT": "[SPAM] ",
    }  # fmt: skip
    answer = effective(load(environ, fqdn=FQDN, read_file=lambda _: "geheim\n"), environ)
    rows = {row["name"]: row for row in answer["settings"]}  # type: ignore[attr-defined]  # plain data for JSON
    assert rows["ENABLE_POP3"] == {"name": "ENABLE_POP3", "value": "1", "source": "env"}
    assert rows["RELAY_PASSWORD"] == {
        "name": "RELAY_PASSWORD", "value": "********", "source": "file", "origin": "/run/secret",
    }  # fmt: skip
    assert (rows["SPAM_SUBJECT"]["source"], rows["SPAM_SUBJECT"]["origin"]) == ("alias", "SA_SPAM_SUBJECT")
    assert rows["ENABLE_IMAP"]["source"] == "default"
    assert "geheim" not in json.dumps(answer)


def test_settings_that_cannot_be_used_are_told(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    def run(environ: dict[str, str]) -> int:
        return go(Run(Mode.SETTINGS, system.root, environ, Log("dmsinit"), Reporter()))

    assert run({"POSTFIX_MESSAGE_SIZE_LIMIT": "ten"}) == EX_CONFIG
    assert "error: POSTFIX_MESSAGE_SIZE_LIMIT: 'ten' is not a whole number" in capsys.readouterr().out
