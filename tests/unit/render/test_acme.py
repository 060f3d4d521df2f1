"""Traefik's acme.json."""

import base64
import json
from typing import Any

from dmsinit.render.acme import STORE, extract

from .conftest import System


def entry(main: str, *sans: str, text: str = "") -> dict[str, Any]:
    encoded = {name: base64.b64encode(f"{name} of {text or main}".encode()).decode() for name in ("key", "certificate")}
    return {"domain": {"main": main, "sans": list(sans)}, **encoded}


def store(system: System, *entries: dict[str, Any]) -> None:
    empty: dict[str, Any] = {"Account": {}, "Certificates": None}
    system.write(STORE, json.dumps({"empty": empty, "letsencrypt": {"Certificates": list(entries)}}))


def test_first_name_that_a_certificate_covers_counts(system: System) -> None:
    store(system, entry("example.test"), entry("*.example.test"), entry("x.test", "mail.example.test"))
    assert extract("", ["mail.example.test", "example.test"], system.root) == []
    live = "/etc/letsencrypt/live/mail.example.test"
    assert system.read(f"{live}/fullchain.pem") == "certificate of x.test"
    assert system.read(f"{live}/key.pem") == "key of x.test"
    assert system.path(f"{live}/key.pem").stat().st_mode & 0o777 == 0o600


def test_wildcard_is_written_under_the_plain_name(system: System) -> None:
    store(system, entry("mail.example.test"), entry("*.example.test"))
    assert extract("*.example.test", ["mail.example.test"], system.root) == []
    assert system.read("/etc/letsencrypt/live/example.test/fullchain.pem") == "certificate of *.example.test"


def test_unchanged_certificate_is_not_written_again(system: System) -> None:
    store(system, entry("mail.example.test"))
    extract("", ["mail.example.test"], system.root)
    before = system.tree()
    extract("", ["mail.example.test"], system.root)
    assert system.tree() == before


def test_no_match_is_a_warning(system: System) -> None:
    store(system, entry("other.test"))
    assert "holds no certificate for mail.example.test" in str(extract("", ["mail.example.test"], system.root)[0])


def test_name_that_was_asked_for_and_is_not_there_is_a_warning(system: System) -> None:
    store(system, entry("mail.example.test"))
    (warning,) = extract("*.example.test", ["mail.example.test"], system.root)
    assert warning.cause == "holds no certificate for SSL_DOMAIN=*.example.test; that for mail.example.test is taken"
    assert system.read("/etc/letsencrypt/live/mail.example.test/key.pem") == "key of mail.example.test"


def test_damaged_store_is_a_warning(system: System) -> None:
    system.write(STORE, "{")
    assert [problem.where for problem in extract("", ["a.test"], system.root)] == [STORE]
    store(system, {**entry("a.test"), "key": "no base64!"})
    assert "is damaged" in extract("", ["a.test"], system.root)[0].cause
    system.write(STORE, "")
    assert extract("", ["a.test"], system.root) == []
