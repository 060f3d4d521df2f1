"""Which certificate SSL_TYPE chooses."""

import pytest

from dmsinit.render.tls import ssl_type
from dmsinit.render.tls.ssl_type import Choice, Copy, choose
from dmsinit.settings import load
from tests.unit.render.conftest import System

FQDN = "mail.example.test"


def chosen(system: System, **environ: str) -> Choice:
    settings = load(environ, fqdn=FQDN).settings
    return choose(settings, settings.fqdn, settings.domain, system.root)


def test_empty_makes_one_and_warns(system: System) -> None:
    choice = chosen(system)
    assert choice.make
    assert (choice.tls.kind, choice.tls.required) == ("made", False)
    assert choice.tls.cert == f"/etc/dms/tls/{FQDN}-made-cert.pem"
    assert [warning.where for warning in choice.warnings] == ["SSL_TYPE"]


def test_made_certificate_is_kept_with_the_state(system: System) -> None:
    system.path("/var/mail-state").mkdir(parents=True)
    choice = chosen(system)
    assert choice.tls.key == f"/var/mail-state/dmsinit/tls/{FQDN}-made-key.pem"
    system.write(choice.tls.cert, "x")
    system.write(choice.tls.key, "x")
    assert not chosen(system).make


def test_manual_copies_both_pairs(system: System) -> None:
    for name in ("cert", "key", "alt-cert", "alt-key"):
        system.write(f"/certs/{name}", name)
    choice = chosen(
        system, SSL_TYPE="manual", SSL_CERT_PATH="/certs/cert", SSL_KEY_PATH="/certs/key",
        SSL_ALT_CERT_PATH="/certs/alt-cert", SSL_ALT_KEY_PATH="/certs/alt-key",
    )  # fmt: skip
    assert choice.problems == []
    assert choice.copies == [
        Copy("/certs/key", "/etc/dms/tls/key", 0o600),
        Copy("/certs/cert", "/etc/dms/tls/cert", 0o644),
        Copy("/certs/alt-key", "/etc/dms/tls/fallback_key", 0o600),
        Copy("/certs/alt-cert", "/etc/dms/tls/fallback_cert", 0o644),
    ]
    names = ["key", "cert", "fallback_key", "fallback_cert"]
    assert choice.tls.chain_files == [f"/etc/dms/tls/{name}" for name in names]


def test_sources_are_what_a_user_renews() -> None:
    def sources(**environ: str) -> tuple[str, ...]:
        settings = load(environ, fqdn=FQDN).settings
        return ssl_type.sources(settings, settings.fqdn, settings.domain)

    assert sources() == ()
    manual = {"SSL_TYPE": "manual", "SSL_CERT_PATH": "/c/cert", "SSL_KEY_PATH": "/c/key"}
    assert sources(**manual) == ("/c/cert", "/c/key")
    assert sources(**manual, SSL_ALT_CERT_PATH="/c/b", SSL_ALT_KEY_PATH="/c/a") == ("/c/cert", "/c/key", "/c/b", "/c/a")
    assert sources(SSL_TYPE="letsencrypt", SSL_DOMAIN="*.hill.test") == (
        "/etc/letsencrypt/acme.json",
        "/etc/letsencrypt/live/hill.test",
        f"/etc/letsencrypt/live/{FQDN}",
        "/etc/letsencrypt/live/example.test",
    )


def test_manual_lists_all_missing_files_at_once(system: System) -> None:
    choice = chosen(system, SSL_TYPE="manual", SSL_CERT_PATH="/certs/cert", SSL_KEY_PATH="/certs/key")
    assert len(choice.problems) == 1
    assert "/certs/cert, /certs/key not found" in choice.problems[0].cause


def test_manual_without_paths_names_both_variables(system: System) -> None:
    # The settings may refuse this already; choosing must not rely on it.
    settings = load({}, fqdn=FQDN).settings
    choice = ssl_type._manual(settings, FQDN, "example.test", system.root)
    assert [problem.where for problem in choice.problems] == ["SSL_CERT_PATH", "SSL_KEY_PATH"]


def test_self_signed_has_an_authority(system: System) -> None:
    for name in (f"{FQDN}-key.pem", f"{FQDN}-cert.pem", "demoCA/cacert.pem"):
        system.volume(f"ssl/{name}", name)
    choice = chosen(system, SSL_TYPE="self-signed")
    assert [(copy.target, copy.mode) for copy in choice.copies] == [
        (f"/etc/dms/tls/{FQDN}-key.pem", 0o600),
        (f"/etc/dms/tls/{FQDN}-cert.pem", 0o644),
        ("/etc/dms/tls/cacert.pem", 0o644),
    ]
    assert choice.tls.ca_file == "/etc/dms/tls/cacert.pem"
    assert choice.links == {f"/etc/ssl/certs/cacert-{FQDN}.pem": "/etc/dms/tls/cacert.pem"}


def test_self_signed_lists_what_is_missing(system: System) -> None:
    system.volume(f"ssl/{FQDN}-key.pem", "x")
    cause = chosen(system, SSL_TYPE="self-signed").problems[0].cause
    assert f"{FQDN}-cert.pem" in cause
    assert "demoCA/cacert.pem" in cause
    assert f"{FQDN}-key.pem" not in cause


def test_custom_is_one_file(system: System) -> None:
    assert f"{FQDN}-full.pem not found" in chosen(system, SSL_TYPE="custom").problems[0].cause
    system.volume(f"ssl/{FQDN}-full.pem", "x")
    choice = chosen(system, SSL_TYPE="custom")
    assert choice.problems == []
    assert choice.tls.chain_files == [f"/etc/dms/tls/{FQDN}-full.pem"]
    assert [copy.mode for copy in choice.copies] == [0o600]


def test_snakeoil_is_the_packages_pair_made_where_it_is_missing(system: System) -> None:
    choice = chosen(system, SSL_TYPE="snakeoil")
    assert choice.make
    assert choice.tls.chain_files == [ssl_type.SNAKEOIL_KEY, ssl_type.SNAKEOIL_CERT]
    system.write(ssl_type.SNAKEOIL_KEY, "x")
    system.write(ssl_type.SNAKEOIL_CERT, "x")
    choice = chosen(system, SSL_TYPE="snakeoil")
    assert not choice.make
    assert (choice.tls.cert, choice.tls.required) == (ssl_type.SNAKEOIL_CERT, True)


@pytest.mark.parametrize(
    ("present", "environ", "expected"),
    [
        (["mail.example.test", "example.test"], {}, "mail.example.test"),
        (["example.test"], {}, "example.test"),
        (["other.test", "mail.example.test"], {"SSL_DOMAIN": "*.other.test"}, "other.test"),
    ],
)
def test_letsencrypt_takes_the_first_name(
    system: System, present: list[str], environ: dict[str, str], expected: str
) -> None:
    for name in present:
        system.write(f"/etc/letsencrypt/live/{name}/fullchain.pem", "x")
        system.write(f"/etc/letsencrypt/live/{name}/privkey.pem", "x")
    choice = chosen(system, SSL_TYPE="letsencrypt", **environ)
    assert choice.problems == []
    assert choice.tls.cert == f"/etc/letsencrypt/live/{expected}/fullchain.pem"
    assert choice.tls.key == f"/etc/letsencrypt/live/{expected}/privkey.pem"
    assert choice.copies == []


def test_letsencrypt_accepts_traefiks_key_name_and_follows_links(system: System) -> None:
    archive = system.write("/etc/letsencrypt/archive/fullchain1.pem", "x")
    live = system.path("/etc/letsencrypt/live/mail.example.test")
    live.mkdir(parents=True)
    (live / "fullchain.pem").symlink_to(archive)
    assert "privkey.pem not found" in chosen(system, SSL_TYPE="letsencrypt").problems[0].cause
    (live / "key.pem").write_text("x")
    assert chosen(system, SSL_TYPE="letsencrypt").tls.key.endswith("/key.pem")


def test_letsencrypt_without_any_says_where_it_looked(system: System) -> None:
    cause = chosen(system, SSL_TYPE="letsencrypt").problems[0].cause
    assert "/etc/letsencrypt/live/mail.example.test/fullchain.pem" in cause
    assert "/etc/letsencrypt/live/example.test/fullchain.pem" in cause


def test_what_is_valid_in_traefiks_store_comes_before_what_was_extracted_earlier(system: System) -> None:
    for name in ("hill.test", FQDN):
        for file in ("fullchain.pem", "key.pem", "privkey.pem"):
            system.write(f"/etc/letsencrypt/live/{name}/{file}", name)
    settings = load({"SSL_TYPE": "letsencrypt", "SSL_DOMAIN": "*.hill.test"}, fqdn=FQDN).settings
    choice = choose(settings, FQDN, "example.test", system.root, extracted=FQDN)
    assert choice.tls.chain_files == [f"/etc/letsencrypt/live/{FQDN}/{file}" for file in ("key.pem", "fullchain.pem")]
    choice = choose(settings, FQDN, "example.test", system.root)
    assert choice.tls.cert == "/etc/letsencrypt/live/hill.test/fullchain.pem"
