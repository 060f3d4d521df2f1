"""acme_extract.py: what a script gets out of Traefik's acme.json."""

import base64
import json
from pathlib import Path

import pytest

from dmsinit.render.tls.acme_extract import main


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def store(tmp_path: Path) -> str:
    entries = [
        {
            "domain": {"main": "example.test", "sans": ["mail.example.test"]},
            "key": encoded("the key\n"),
            "certificate": encoded("the chain\n"),
        },
        {"domain": {"main": "damaged.test"}, "key": "no base64!", "certificate": None},
    ]
    path = tmp_path / "acme.json"
    path.write_text(json.dumps({"letsencrypt": {"Certificates": entries}}))
    return str(path)


@pytest.mark.parametrize(("option", "printed"), [("--key", "the key\n"), ("--cert", "the chain\n")])
def test_what_is_asked_for_is_printed(
    store: str, option: str, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([store, "mail.example.test", option]) == 0
    assert capsys.readouterr() == (printed, "")


@pytest.mark.parametrize(
    ("name", "option", "cause"),
    [
        ("other.test", "--key", "it holds no certificate for other.test; let Traefik request one"),
        ("damaged.test", "--key", "it is damaged"),
        ("damaged.test", "--cert", "it is damaged"),
    ],
)
def test_nothing_is_printed_without_a_certificate(
    store: str, name: str, option: str, cause: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([store, name, option]) == 1
    printed, told = capsys.readouterr()
    assert printed == ""
    assert told.startswith(f"acme_extract.py: cannot read {store}: {cause}")


def test_a_file_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none"), "a.test", "--key"]) == 1
    assert "No such file or directory; name the file that Traefik writes" in capsys.readouterr().err
    (tmp_path / "text").write_text("-----BEGIN")
    assert main([str(tmp_path / "text"), "a.test", "--key"]) == 1
    assert "it is damaged" in capsys.readouterr().err


def test_key_or_certificate_has_to_be_said(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([store, "mail.example.test"])
    assert ended.value.code == 2
    assert "--key --cert" in capsys.readouterr().err
