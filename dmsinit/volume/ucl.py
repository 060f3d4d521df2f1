"""Read UCL, in which Rspamd's files are written, as far as a signing configuration needs it.

Objects, lists, quoted and bare values, comments; keys with or without an equals sign in front of an object. Macros and
variables are left as they are. A key that comes again adds to the list of its values, as in Rspamd.
"""

import re
from typing import Final

_TOKEN: Final = re.compile(
    r"""\s+ | \#[^\n]* | /\*.*?\*/ | (?P<mark>[{}\[\];,=:]) | "(?P<quoted>(?:[^"\\]|\\.)*)" | '(?P<single>[^']*)'
        | (?P<bare>[^\s{}\[\];,=:"'\#]+(?:[:=][^\s{}\[\];,"'\#]+)*)""",
    re.VERBOSE | re.DOTALL,
)


class NotUcl(ValueError):
    """The text is not UCL, or more of it than this reads."""


class _Words:
    """The words of a text: marks as they are, values with a blank in front, so that the two differ."""

    def __init__(self, text: str) -> None:
        self._words: list[str] = []
        position = 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise NotUcl(f"cannot read {text[position : position + 20]!r}")
            position = match.end()
            if match["mark"]:
                self._words.append(match["mark"])
            elif (
                value := next((match[kind] for kind in ("quoted", "single", "bare") if match[kind]), None)
            ) is not None:
                self._words.append(f" {value}")
            elif match[0][0] in "\"'":
                self._words.append(" ")
        self._words.reverse()

    def next(self) -> str:
        if not self._words:
            raise NotUcl("it ends too early")
        return self._words.pop()

    def peek(self) -> str:
        return self._words[-1] if self._words else ""


def parse(text: str) -> dict[str, object]:
    """Return a text as nested dictionaries, lists and strings; NotUcl when it cannot be read."""
    words = _Words(text)
    result = _object(words, end="")
    return result


def _object(words: _Words, *, end: str) -> dict[str, object]:
    found: dict[str, object] = {}
    while (word := words.peek()) != end:
        words.next()
        if word in (";", ","):
            continue
        if not word.startswith(" "):
            raise NotUcl(f"a name is missing in front of {word!r}")
        _add(found, word[1:], _after_name(words))
    if end:
        words.next()
    return found


def _after_name(words: _Words) -> object:
    """Return the value behind a name; `domain "a.test" { … }` is an object in an object."""
    word = words.next()
    if word in ("=", ":"):
        return _value(words, words.next())
    if word.startswith(" ") and words.peek() not in (";", ",", "}", ""):
        return {word[1:]: _after_name(words)}
    return _value(words, word)


def _value(words: _Words, word: str) -> object:
    if word == "{":
        return _object(words, end="}")
    if word == "[":
        items: list[object] = []
        while (word := words.next()) != "]":
            if word not in (";", ","):
                items.append(_value(words, word))
        return items
    if word.startswith(" "):
        return word[1:]
    raise NotUcl(f"a value is missing in front of {word!r}")


def _add(found: dict[str, object], name: str, value: object) -> None:
    present = found.get(name)
    if present is None:
        found[name] = value
    elif isinstance(present, dict) and isinstance(value, dict):
        for key, one in value.items():
            _add(present, key, one)
    elif isinstance(present, list):
        present.append(value)
    else:
        found[name] = [present, value]
