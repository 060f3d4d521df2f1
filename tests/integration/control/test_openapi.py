"""The description of the control API (docs/reference/openapi.json): fresh, and what real answers look like."""

import json
from pathlib import Path
from typing import Final

import msgspec
import openapi
import pytest

from dmsinit.control.messages import JSON, NDJSON
from dmsinit.control.resources import ROUTES
from dmsinit.control.route import Route
from tests.integration.control.system import Site

REFERENCE: Final = Path(__file__).parents[3] / "docs" / "reference"


def test_the_committed_description_is_the_one_of_the_code() -> None:
    committed = json.loads((REFERENCE / "openapi.json").read_text())
    assert committed == json.loads(json.dumps(openapi.description())), "run make docs"


def test_the_page_for_people_names_every_path() -> None:
    page = (REFERENCE / "control-api.md").read_text()
    for route in ROUTES:
        start = route.path.rpartition("/")[0] if route.path.startswith("/v1/services/NAME/") else route.path
        assert start in page


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_an_answer_has_the_shape_and_the_status_that_are_described(site: Site, route: Route) -> None:
    query = "?wait=true" if any(one.name == "wait" for one in route.query) else ""
    query = "?signal=HUP" if route.path.endswith("/signal") else query
    code, body = await site.get(route.path.replace("NAME", "opendkim") + query, route.method)
    described = openapi.description()["paths"][route.path.replace("NAME", "{name}")][route.method.lower()]["responses"]
    assert str(code) in described
    answer = next((one for one in route.answers if one.status == code), None)
    if answer is None:
        assert json.loads(body)["status"] == code
    elif answer.media in (JSON, NDJSON):
        for part in body.splitlines() if answer.media == NDJSON else [body]:
            decoded = msgspec.json.decode(part, type=answer.shape)
            assert msgspec.json.decode(msgspec.json.encode(decoded)) == msgspec.json.decode(part)  # no field besides
    else:
        assert body.decode()
