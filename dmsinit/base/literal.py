"""Values of environment variables as people write them into files: in quotation marks, with a comment behind.

A shell and compose files remove both. An env file given to `docker run` and the items of a list in a compose file keep
them, so that they reach us as part of the value. What removes them here only says what it did; the caller reports it.
"""

import os
import re
import time
from collections.abc import MutableMapping
from typing import Final, NamedTuple

QUOTATION_MARKS: Final = {
    "'": "'", '"': '"', "`": "`", "\u00b4": "\u00b4", "\u2018": "\u2019", "\u201a": "\u2018\u2019",
    "\u2019": "\u2019", "\u201c": "\u201d", "\u201e": "\u201c\u201d", "\u201d": "\u201d", "\u00ab": "\u00bb",
    "\uff02": "\uff02", "\uff07": "\uff07",
}  # fmt: skip
"""Opening mark → its closing marks: those of a keyboard, those that word processors put in their place."""

_COMMENT: Final = re.compile(r"(?:^|\s+)#.*", re.DOTALL)


class Cleaned(NamedTuple):
    """A value without what surrounds it, and what that was."""

    text: str
    quotes: bool = False
    comment: bool = False
    carriage_return: bool = False


def clean(text: str) -> Cleaned:
    """Return a value without blanks, quotation marks and a comment (a number sign at its beginning or after a blank).

    A number sign within quotation marks belongs to the value: `"a # b"  # c` is `a # b`.
    """
    bare = text.strip()
    inner = between_marks(bare)
    comment = False
    if inner is None:
        shorter = without_comment(bare)
        comment = shorter != bare
        bare, inner = shorter, between_marks(shorter)
    quotes = inner is not None
    while inner is not None:
        bare = inner.strip()
        inner = between_marks(bare)
    return Cleaned(bare, quotes, comment, text.endswith("\r"))


def between_marks(text: str) -> str | None:
    """Return what is between the quotation marks around a text; None when it is not wholly in them."""
    closing = QUOTATION_MARKS.get(text[:1], "")
    if len(text) < 2 or not closing or text[-1] not in closing:
        return None
    inner = text[1:-1]
    return None if text[0] in inner or text[-1] in inner else inner


def without_comment(text: str) -> str:
    """Return a text without the comment behind it; a number sign in leading quotation marks begins none."""
    closing = QUOTATION_MARKS.get(text[:1], "")
    end = next((index for index, char in enumerate(text) if index and char in closing), 0) if closing else 0
    if end and (rest := text[end + 1 :]) and _COMMENT.fullmatch(rest):
        return text[: end + 1]
    return _COMMENT.sub("", text, count=1)


def settle_time_zone(environ: MutableMapping[str, str] = os.environ) -> None:
    """Let an empty TZ count as unset: the C library takes it for UTC, whatever /etc/localtime says (tzset(3))."""
    given = environ.get("TZ")
    if given is None:
        return
    name = clean(given).text
    if name == given and name:
        return
    if name:
        environ["TZ"] = name
    else:
        del environ["TZ"]
    time.tzset()
