"""Requests and answers as the routes see them, free of sockets and HTTP framing."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from dmsinit.control.peer import Peer

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
PROBLEM: Final = "application/problem+json"
TEXT: Final = "text/plain; charset=utf-8"

TITLES: Final = {
    200: "OK", 202: "Accepted",
    400: "Bad request", 403: "Forbidden", 404: "Not found", 405: "Method not allowed", 408: "Request timeout",
    409: "Operation failed", 413: "Request too large", 422: "Configuration has problems", 431: "Request head too large",
    500: "Internal error", 501: "Not implemented", 503: "Unavailable",
}  # fmt: skip


class Refused(Exception):
    """The request cannot be answered as asked: becomes a problem with this HTTP status."""

    def __init__(self, status: int, detail: str, *, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = tuple(headers)


@dataclass(frozen=True, slots=True)
class Request:
    """One request: `path` is decoded and without the query, `query` holds the last value of each name."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    accept: str = ""
    peer: Peer | None = None

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a yes/no parameter; a bare name means yes. Raises Refused (400) on anything else."""
        text = self.query.get(name)
        if text is None:
            return default
        if text.lower() in ("", "1", "true", "yes"):
            return True
        if text.lower() in ("0", "false", "no"):
            return False
        raise Refused(400, f"{name}={text} must be true or false")

    def number(self, name: str, default: int, maximum: int) -> int:
        """Return a whole number from 0 to `maximum`. Raises Refused (400) on anything else."""
        text = self.query.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal()) or len(text) > 9 or int(text) > maximum:
            raise Refused(400, f"{name}={text} is not a number from 0 to {maximum}")
        return int(text)


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer."""

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer without a known end; the generator is closed when the client has gone."""

    chunks: AsyncGenerator[bytes, None]
    content_type: str = NDJSON


def json_response(value: object, status: int = 200) -> Response:
    """Return a value as JSON, with a newline for those who read it with curl."""
    return Response(msgspec.json.encode(value) + b"\n", status)


def ndjson(value: object) -> bytes:
    """Return a value as one line of JSON."""
    return msgspec.json.encode(value) + b"\n"


def log_line(text: str) -> bytes:
    """Return a log line as one line of NDJSON; what is not Unicode becomes a question mark."""
    return ndjson({"line": text.encode("utf-8", "replace").decode()})


def problem(
    status: int, detail: str, *, kind: str = "", headers: Sequence[tuple[str, str]] = (), **members: object
) -> Response:
    """Return an error as RFC 9457 has it; `kind` is what programs tell it by, `members` are extensions."""
    document = {
        "type": f"urn:dmsinit:problem:{kind}" if kind else "about:blank",
        "title": TITLES.get(status, "Error"), "status": status, "detail": detail, **members,
    }  # fmt: skip
    return Response(msgspec.json.encode(document) + b"\n", status, PROBLEM, headers)


def parse_target(target: str) -> tuple[str, dict[str, str]]:
    """Return the decoded path and query of a request target in origin or absolute form (RFC 9112, 3.2)."""
    if not target.startswith("/"):
        _, separator, rest = target.partition("://")
        if not separator:
            raise Refused(400, "the request target is not a path")
        target = "/" + rest.partition("/")[2]
    path, _, query = target.partition("?")
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return _unquote(path), {_unquote(name): _unquote(value.replace("+", " ")) for name, _, value in pairs}


def _unquote(text: str) -> str:
    """Decode %XX (RFC 3986, 2.1). urllib.parse would do, and cost PID 1 half a MiB."""
    if "%" not in text:
        return text
    head, *parts = text.encode("ascii").split(b"%")
    decoded = bytearray(head)
    for part in parts:
        try:
            decoded += bytes.fromhex(part[:2].decode("ascii"))
        except ValueError:
            raise Refused(400, "the request target holds a % that is not followed by two hexadecimal digits") from None
        if len(part) < 2 or b" " in part[:2]:
            raise Refused(400, "the request target holds a % that is not followed by two hexadecimal digits")
        decoded += part[2:]
    return decoded.decode("utf-8", "replace")
