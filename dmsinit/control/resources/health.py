"""`/livez` and `/readyz`: for load balancers and orchestrators."""

from collections.abc import Sequence
from typing import Final

from dmsinit.control.messages import TEXT, Request, Response
from dmsinit.control.route import Answer, Context, Route

_ANSWERS: Final = (Answer(str, media=TEXT), Answer(str, 503, TEXT))


async def _livez(context: Context, _request: Request, _name: str) -> Response:
    return _verdict("alive", *context.operations.livez())


async def _readyz(context: Context, _request: Request, _name: str) -> Response:
    return _verdict("ready", *context.operations.readyz())


def _verdict(word: str, holds: bool, reasons: Sequence[str]) -> Response:
    lines = [word] if holds else [f"not {word}", *reasons]
    return Response("".join(f"{line}\n" for line in lines).encode(), 200 if holds else 503, TEXT)


ROUTES: Final = (
    Route("GET", "/livez", _livez, "Whether dmsinit itself works, with one reason a line if not", _ANSWERS),
    Route("GET", "/readyz", _readyz, "Whether mail can be served, with one reason a line if not", _ANSWERS),
)
