"""Making and checking certificates with the real openssl."""

import subprocess
import time
from pathlib import Path

from dmsinit.render.tls.certificate import VALIDITY_DAYS, Expiries, Making, check
from dmsinit.render.tls.ssl_type import Pair
from tests.unit.render.conftest import System

FQDN = "mail.example.test"


def make(system: System, name: str = FQDN) -> Pair:
    cert, key = f"/tls/{name}-cert.pem", f"/tls/{name}-key.pem"
    assert Making(name, cert, key, system.root).finish() == []
    return Pair("SSL_CERT_PATH", cert, key)


def openssl(*arguments: str) -> str:
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True).stdout


def test_made_certificate_is_valid_and_for_this_host(system: System) -> None:
    pair = make(system)
    assert check([pair], system.root) == ([], [])
    text = openssl("x509", "-noout", "-text", "-in", str(system.path(pair.cert)))
    assert f"DNS:{FQDN}" in text
    assert "prime256v1" in text
    assert system.path(pair.key).stat().st_mode & 0o777 == 0o600
    assert system.path(pair.cert).stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in system.path("/tls").iterdir()) == [f"{FQDN}-cert.pem", f"{FQDN}-key.pem"]


def test_name_longer_than_a_common_name(system: System) -> None:
    name = f"{'m' * 60}.{'e' * 60}.test"
    pair = make(system, name)
    assert f"DNS:{name}" in openssl("x509", "-noout", "-ext", "subjectAltName", "-in", str(system.path(pair.cert)))


def test_key_of_another_certificate(system: System) -> None:
    one, other = make(system, "one.test"), make(system, "other.test")
    problems, _ = check([Pair("SSL_CERT_PATH", one.cert, other.key)], system.root)
    assert [problem.where for problem in problems] == [one.cert]
    assert f"does not belong to the key {other.key}" in problems[0].cause


def test_one_file_with_key_and_chain(system: System) -> None:
    pair = make(system)
    system.write("/tls/full.pem", system.read(pair.key) + system.read(pair.cert))
    assert check([Pair("full", "/tls/full.pem", "/tls/full.pem")], system.root) == ([], [])


def test_expired_certificate_is_a_warning_with_its_date(system: System, tmp_path: Path) -> None:
    pair = make(system)
    authority, serial, index = tmp_path / "ca.conf", tmp_path / "serial", tmp_path / "index"
    serial.write_text("01\n")
    index.write_text("")
    authority.write_text(
        f"[ca]\ndefault_ca=a\n[a]\nnew_certs_dir={tmp_path}\ndatabase={index}\nserial={serial}\n"
        "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n"
    )
    cert, key = str(system.path(pair.cert)), str(system.path(pair.key))
    request = str(tmp_path / "request.pem")
    openssl("req", "-new", "-key", key, "-subj", "/CN=x", "-out", request)
    openssl(
        "ca", "-batch", "-config", str(authority), "-selfsign", "-keyfile", key, "-in", request,
        "-startdate", "20190102000000Z", "-enddate", "20200102000000Z", "-notext", "-out", cert,
    )  # fmt: skip
    problems, warnings = check([pair], system.root)
    assert problems == []
    assert [str(warning) for warning in warnings] == [
        f"{pair.cert}: expired on 2020-01-02, so clients refuse it; renew it"
    ]


def test_all_that_is_unreadable_is_reported_at_once(system: System) -> None:
    system.write("/tls/cert", "nonsense")
    system.write("/tls/key", "nonsense")
    problems, _ = check([Pair("SSL_CERT_PATH", "/tls/cert", "/tls/key")], system.root)
    assert [problem.where for problem in problems] == ["/tls/cert", "/tls/key"]


def test_key_with_a_passphrase_is_refused_without_asking_for_it(system: System) -> None:
    pair = make(system)
    key = str(system.path(pair.key))
    openssl("pkey", "-in", key, "-aes128", "-passout", "pass:secret", "-out", key + ".locked")
    problems, _ = check([Pair("SSL_CERT_PATH", pair.cert, pair.key + ".locked")], system.root)
    assert "without a passphrase" in problems[0].remedy


def test_failing_to_make_one_is_a_problem(system: System) -> None:
    system.path("/tls").mkdir(parents=True)
    system.path("/tls/key.pem.new").mkdir()
    problems = Making(FQDN, "/tls/cert.pem", "/tls/key.pem", system.root).finish()
    assert [problem.where for problem in problems] == ["SSL_TYPE"]
    assert not system.path("/tls/cert.pem").exists()


def test_expiry_dates_are_read_where_there_are_some(system: System) -> None:
    pair = make(system)
    system.write("/tls/nonsense", "nonsense")
    (found,) = Expiries([pair.cert, "/tls/nonsense", "/tls/missing"], system.root).read()
    assert found.file == pair.cert
    assert abs(found.expires - (time.time() + VALIDITY_DAYS * 86400)) < 60
