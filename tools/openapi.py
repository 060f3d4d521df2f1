#!/usr/bin/env python3
"""The description of the control API (OpenAPI 3.1): `tools/openapi.py` prints what is in docs/reference/openapi.json.

Paths come from the routes, shapes from the types that they name.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from dmsinit.control.messages import JSON, NDJSON, PROBLEM, TITLES
from dmsinit.control.resources import ROUTES
from dmsinit.control.route import NAME, Answer, Parameter, Route

REFERENCE: Final = "#/components/schemas/{name}"
COMMON_ERRORS: Final = (403, 500)
PROBLEM_SCHEMA: Final[Mapping[str, object]] = {
    "type": "object",
    "description": "An error (RFC 9457): `detail` is for people, programs tell errors apart by `type`.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
    "additionalProperties": True,
}


def description() -> dict[str, Any]:
    """Return the whole document."""
    _, components = msgspec.json.schema_components(list(_types()), ref_template=REFERENCE)
    paths: dict[str, dict[str, object]] = {}
    for route in ROUTES:
        paths.setdefault(route.path.replace(NAME, "{name}"), {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "The control API of dmsinit",
            "version": "1",
            "description": "HTTP/1.1 on the unix socket /run/dmsinit/control.sock; see control-api.md.",
        },
        "paths": paths,
        "components": {"schemas": {**components, "Problem": PROBLEM_SCHEMA}},
    }


def _types() -> Iterator[Any]:
    for route in ROUTES:
        yield from (answer.shape for answer in route.answers if answer.media in (JSON, NDJSON))


def _operation(route: Route) -> dict[str, object]:
    parameters = [_query(parameter) for parameter in route.query]
    if NAME in route.path.split("/"):
        parameters.insert(0, {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}})
    answers: dict[str, dict[str, Any]] = {}
    for answer in route.answers:
        there = answers.setdefault(str(answer.status), {"description": TITLES[answer.status], "content": {}})
        there["content"][answer.media] = {"schema": _schema(answer)}
    wrong = (400,) if route.query else ()
    for status in sorted({*wrong, *COMMON_ERRORS, *route.errors}):
        content = {PROBLEM: {"schema": {"$ref": REFERENCE.format(name="Problem")}}}
        answers.setdefault(str(status), {"description": TITLES[status], "content": content})
    name = re.sub(r"\W+", "_", f"{route.method} {route.path.removeprefix('/')}".replace("v1/", "")).lower()
    return {"summary": route.summary, "operationId": name, "parameters": parameters, "responses": answers}


def _schema(answer: Answer) -> object:
    if answer.media not in (JSON, NDJSON):
        return {"type": "string"}
    return msgspec.json.schema_components([answer.shape], ref_template=REFERENCE)[0][0]


def _query(parameter: Parameter) -> dict[str, object]:
    schema: dict[str, object] = {"type": parameter.kind}
    if parameter.default is not None:
        schema["default"] = parameter.default
    if parameter.maximum is not None:
        schema |= {"minimum": 0, "maximum": parameter.maximum}
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": parameter.text,
        "schema": schema,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(description(), indent=1) + "\n")
