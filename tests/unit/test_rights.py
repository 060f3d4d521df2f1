"""docs/reference/rights.md says what services/*.toml say; tests/image/test_rights.py: and what processes have."""

import tomllib
from pathlib import Path

import pytest

from tests.support.rights import read_table

SERVICES = sorted((Path(__file__).resolve().parents[2] / "services").glob("*.toml"))


def test_every_service_has_a_row() -> None:
    assert read_table().keys() == {"dmsinit", *(path.stem for path in SERVICES)}


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_a_row_is_what_the_service_says(path: Path) -> None:
    service = tomllib.loads(path.read_text())
    row, limits = read_table()[path.stem], service.get("limits", {})
    given = limits.get("capabilities")
    assert row.capabilities == (None if given is None else frozenset(given))
    assert row.no_new_privs == limits.get("no_new_privs", False)
    if service.get("user"):
        assert row.users == {service["user"]}
