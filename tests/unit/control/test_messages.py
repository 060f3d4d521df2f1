import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsinit.control.client import quote
from dmsinit.control.messages import Refused, Request, log_line, parse_target, problem


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/v1/status", "/v1/status", {}),
        ("/v1/apply?dry_run", "/v1/apply", {"dry_run": ""}),
        ("/a?b=1&c=x+y&&b=2", "/a", {"b": "2", "c": "x y"}),
        ("/%C3%A4%2F?a%20b=%3d", "/ä//".removesuffix("/"), {"a b": "="}),
        ("http://host:1/v1/status?x=1", "/v1/status", {"x": "1"}),
        ("http://host", "/", {}),
    ],
)
def test_targets_are_decoded(target: str, path: str, query: dict[str, str]) -> None:
    assert parse_target(target) == (path, query)


@pytest.mark.parametrize("target", ["*", "host:443", "", "/%", "/%1", "/%zz", "/% 1", "/?a=%x"])
def test_targets_that_are_none_are_refused(target: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_target(target)
    assert caught.value.status == 400


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8"), min_size=1))
def test_what_the_client_quotes_the_server_reads(segment: str, value: str) -> None:
    assert parse_target(f"/v1/{quote(segment)}?name={quote(value)}") == (f"/v1/{segment}", {"name": value})


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126)))
def test_any_target_is_read_or_refused(target: str) -> None:
    with contextlib.suppress(Refused):
        path, _ = parse_target(target)
        assert path.startswith("/")


@pytest.mark.parametrize(("text", "expected"), [("", True), ("1", True), ("True", True), ("0", False), ("no", False)])
def test_flags_are_yes_or_no(text: str, expected: bool) -> None:
    assert Request("GET", "/", {"wait": text}).flag("wait") is expected


def test_flags_have_a_default_and_know_nothing_else() -> None:
    assert Request("GET", "/").flag("wait", True) is True
    with pytest.raises(Refused):
        Request("GET", "/", {"wait": "maybe"}).flag("wait")


@pytest.mark.parametrize("text", ["", "-1", "1.5", "1e3", "11", "²", "9999999999"])
def test_numbers_are_whole_and_bounded(text: str) -> None:
    with pytest.raises(Refused):
        Request("GET", "/", {"lines": text}).number("lines", 5, 10)


def test_a_problem_is_as_rfc_9457_has_it() -> None:
    response = problem(404, "no service is called x", kind="no-such-service", service="x")
    assert (response.status, response.content_type) == (404, "application/problem+json")
    assert json.loads(response.body) == {
        "type": "urn:dmsinit:problem:no-such-service", "title": "Not found", "status": 404,
        "detail": "no service is called x", "service": "x",
    }  # fmt: skip


@given(st.text())
def test_any_log_line_is_one_line_of_json(text: str) -> None:
    encoded = log_line(text)
    assert encoded.count(b"\n") == 1
    assert json.loads(encoded)["line"] == text.encode("utf-8", "replace").decode()
