"""Traefik's acme.json."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dmsinit.render.tls.acme import STORE, Extracted, extract
from tests.unit.render.conftest import System


def entry(main: str, *sans: str, text: str = "") -> dict[str, Any]:
    encoded = {name: base64.b64encode(f"{name} of {text or main}".encode()).decode() for name in ("key", "certificate")}
    return {"domain": {"main": main, "sans": list(sans)}, **encoded}


def store(system: System, *entries: dict[str, Any]) -> None:
    empty: dict[str, Any] = {"Account": {}, "Certificates": None}
    system.write(STORE, json.dumps({"empty": empty, "letsencrypt": {"Certificates": list(entries)}}))


def test_first_name_that_a_certificate_covers_counts(system: System) -> None:
    store(system, entry("example.test"), entry("*.example.test"), entry("x.test", "mail.example.test"))
    assert extract("", ["mail.example.test", "example.test"], system.root).warnings == []
    live = "/etc/letsencrypt/live/mail.example.test"
    assert system.read(f"{live}/fullchain.pem") == "certificate of x.test"
    assert system.read(f"{live}/key.pem") == "key of x.test"
    assert system.path(f"{live}/key.pem").stat().st_mode & 0o777 == 0o600


def test_wildcard_is_written_under_the_plain_name(system: System) -> None:
    store(system, entry("mail.example.test"), entry("*.example.test"))
    assert extract("*.example.test", ["mail.example.test"], system.root).warnings == []
    assert system.read("/etc/letsencrypt/live/example.test/fullchain.pem") == "certificate of *.example.test"


def test_unchanged_certificate_is_not_written_again(system: System) -> None:
    store(system, entry("mail.example.test"))
    extract("", ["mail.example.test"], system.root)
    before = system.tree()
    extract("", ["mail.example.test"], system.root)
    assert system.tree() == before


def test_no_match_is_a_warning(system: System) -> None:
    store(system, entry("other.test"))
    assert "holds no certificate for mail.example.test" in str(
        extract("", ["mail.example.test"], system.root).warnings[0]
    )


def test_name_that_was_asked_for_and_is_not_there_is_a_warning(system: System) -> None:
    store(system, entry("mail.example.test"))
    (warning,) = extract("*.example.test", ["mail.example.test"], system.root).warnings
    assert warning.cause == "holds no certificate for SSL_DOMAIN=*.example.test; that for mail.example.test is taken"
    assert system.read("/etc/letsencrypt/live/mail.example.test/key.pem") == "key of mail.example.test"


def test_damaged_store_is_a_warning(system: System) -> None:
    system.write(STORE, "{")
    assert [problem.where for problem in extract("", ["a.test"], system.root).warnings] == [STORE]
    store(system, {**entry("a.test"), "key": "no base64!"})
    assert "is damaged" in extract("", ["a.test"], system.root).warnings[0].cause
    system.write(STORE, "")
    assert extract("", ["a.test"], system.root) == Extracted("", [])


EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
RSA = ("-newkey", "rsa:2048")
DAYS = {
    "expired": ("20200101000000Z", "20210101000000Z"),
    "early": ("20990101000000Z", "21000101000000Z"),
    "old": ("20200101000000Z", "20980101000000Z"),
    "new": ("20210101000000Z", "20990101000000Z"),
}
MAIL = "mail.example.test"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Entries by `NAMES/TIME`: certificates for the names (with commas), valid as DAYS says."""
    folder = tmp_path_factory.mktemp("made")
    return {
        f"{names}/{time}": certificate(folder, names, time, EC if time != "old" else RSA)
        for names, time in (
            (MAIL, "expired"), (MAIL, "old"), (MAIL, "new"), ("*.example.test", "new"), ("*.example.test", "expired"),
            (MAIL, "early"), (f"web.example.test,{MAIL}", "new"), ("*.test", "new"), ("example.test", "new"),
        )
    }  # fmt: skip


def certificate(folder: Path, names: str, time: str, algorithm: tuple[str, ...]) -> dict[str, Any]:
    key, chain = folder / "key", folder / "chain"
    begin, end = DAYS[time]
    command = [
        "openssl", "req", "-x509", *algorithm, "-noenc", "-subj", "/CN=x", "-keyout", str(key), "-out", str(chain),
        "-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names.split(",")),
    ]  # fmt: skip
    request = [*command[:2], "-new", *command[3:]]
    subprocess.run(request[:-4] + ["-out", str(folder / "csr"), *request[-2:]], capture_output=True, check=True)
    subprocess.run(
        ["openssl", "ca", "-batch", "-selfsign", "-notext", "-config", str(ca(folder)), "-keyfile", str(key),
         "-startdate", begin, "-enddate", end, "-in", str(folder / "csr"), "-out", str(chain)],
        capture_output=True, check=True,
    )  # fmt: skip
    main, *sans = names.split(",")
    encoded = {
        field: base64.b64encode(path.read_bytes()).decode() for field, path in (("key", key), ("certificate", chain))
    }
    return {"domain": {"main": main, "sans": sans}, **encoded}


def ca(folder: Path) -> Path:
    """Return a configuration for `openssl ca`, which alone can make a certificate of the past."""
    (folder / "index").write_text("")
    (folder / "ca.cnf").write_text(
        f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/index\nnew_certs_dir={folder}\nrand_serial=yes\n"
        "default_md=sha256\npolicy=p\ncopy_extensions=copy\nunique_subject=no\n[p]\ncommonName=supplied\n"
    )
    return folder / "ca.cnf"


def taken(system: System, name: str) -> str:
    """Return the base64 text of the chain in live/NAME."""
    return base64.b64encode(system.read(f"/etc/letsencrypt/live/{name}/fullchain.pem").encode()).decode()


@pytest.mark.parametrize(
    ("held", "best"),
    [
        ((f"{MAIL}/expired", f"{MAIL}/new"), f"{MAIL}/new"),
        ((f"{MAIL}/new", f"{MAIL}/expired"), f"{MAIL}/new"),
        ((f"{MAIL}/early", f"{MAIL}/old"), f"{MAIL}/old"),
        ((f"{MAIL}/old", f"{MAIL}/new"), f"{MAIL}/new"),
        ((f"{MAIL}/new", f"{MAIL}/old"), f"{MAIL}/new"),
        ((f"{MAIL}/expired", "*.example.test/new"), "*.example.test/new"),
        (("*.example.test/new", f"{MAIL}/old"), f"{MAIL}/old"),
        (("*.test/new", "example.test/new", f"web.example.test,{MAIL}/new"), f"web.example.test,{MAIL}/new"),
        ((f"{MAIL}/expired",), f"{MAIL}/expired"),
    ],
)
def test_the_certificate_that_is_valid_and_covers_the_name_is_taken(
    system: System, made: dict[str, dict[str, Any]], held: tuple[str, ...], best: str
) -> None:
    store(system, *(made[one] for one in held))
    extracted = extract("", [MAIL], system.root)
    assert extracted == Extracted("" if best.endswith("expired") else MAIL, [])
    assert taken(system, MAIL) == made[best]["certificate"]


def test_a_name_whose_certificate_is_out_of_date_comes_after_one_whose_is_valid(
    system: System, made: dict[str, dict[str, Any]]
) -> None:
    store(system, made["*.example.test/expired"], made[f"{MAIL}/new"])
    extracted = extract("*.example.test", [MAIL], system.root)
    assert extracted.name == MAIL
    assert "holds only certificates that are not valid for SSL_DOMAIN=*.example.test" in extracted.warnings[0].cause


def test_a_certificate_that_does_not_belong_to_its_key_comes_last(
    system: System, made: dict[str, dict[str, Any]]
) -> None:
    broken = {**made[f"{MAIL}/new"], "key": made[f"{MAIL}/old"]["key"]}
    store(system, broken, made["*.example.test/new"])
    assert extract("", [MAIL], system.root) == Extracted(MAIL, [])
    assert taken(system, MAIL) == made["*.example.test/new"]["certificate"]


def test_what_the_certificate_says_counts_more_than_traefiks_note(
    system: System, made: dict[str, dict[str, Any]]
) -> None:
    wrong = {**made["example.test/new"], "domain": {"main": MAIL}}
    right = {**made[f"{MAIL}/old"], "domain": {"main": "somebody.test"}}
    store(system, wrong, right)
    assert extract("", [MAIL.upper()], system.root).warnings == []
    assert taken(system, MAIL) == right["certificate"]
