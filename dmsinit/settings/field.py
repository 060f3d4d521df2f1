"""What a variable is: its default, its kind, how its text is read, and what a bad text means.

A `Field` is a descriptor: on the class it is the description (for documents and checks), on an instance its value.
So the classes that list the variables (`server`, `transport`, …) are at once the contract and the typed model.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Generic, Literal, Self, TypedDict, TypeVar, Unpack, overload

T = TypeVar("T")
OnError = Literal["abort", "warn"]

_PLAIN_WORDS: Final = {"string": "text", "int": "whole number", "float": "number"}

LONGEST_QUOTE: Final = 60
"""Characters of a bad value that a message repeats."""


class Options(TypedDict, total=False):
    """What any kind of field may say beside its default and its help; see Field."""

    when: str
    on_error: OnError
    fallback: object
    unit: str
    secret: bool
    keep_empty: bool
    free: bool
    example: str


class Fault(Exception):
    """A text that a field cannot use; `cause` continues a sentence whose subject is the value."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy


def holds(condition: str, texts: Mapping[str, str]) -> bool:
    """Return whether a condition (`NAME=value and NAME!=value …`, or empty: always) holds for effective texts."""
    for term in filter(None, condition.split(" and ")):
        name, equals, wanted = term.partition("=")
        unequal = name.endswith("!")
        if (texts[name.removesuffix("!")] == wanted) is unequal:
            return False
    return True


class Same:
    """A default: the first of these variables that is not empty."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def __str__(self) -> str:
        return " else ".join(self.names)


class Section:
    """A group of variables of one topic; Settings is made of all sections and holds the values."""

    __slots__ = ("_values",)

    _values: dict[str, Any]


class Field(ABC, Generic[T]):
    """One variable.

    `default` is the text that an unset variable counts as; `<domain>` and `<FQDN>` in it are filled in, `Same` refers
    to other variables. `when` tells under which settings the variable matters: conditions `NAME=value` or
    `NAME!=value`, joined by ` and `; elsewhere a bad value only warns. `on_error` says whether a bad value ends the
    start or warns and becomes `fallback` (default: the default). `keep_empty`: set but empty is a value of its own.
    `free`: any character may be meant, also a number sign after a blank (see `literal`). `example`: a value for pages.
    """

    kind: ClassVar[str] = "string"
    takes_quotes: ClassVar[bool] = False
    """Whether quotation marks around the text are a way to write it, not a slip."""
    name: str = ""

    def __init__(
        self,
        default: str | Same,
        help: str,
        *,
        when: str = "",
        on_error: OnError = "abort",
        fallback: object = None,
        unit: str = "",
        secret: bool = False,
        keep_empty: bool = False,
        free: bool = False,
        example: str = "",
    ) -> None:
        self.default = default
        self.help = help
        self.when = when
        self.on_error = on_error
        self.fallback = fallback
        self.unit = unit
        self.secret = secret
        self.keep_empty = keep_empty
        self.free = free
        self.example = example

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name.upper()

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Section, owner: type) -> T: ...
    def __get__(self, instance: Section | None, owner: type) -> Self | T:
        if instance is None:
            return self
        value: T = instance._values[self.name]
        return value

    @property
    def type_text(self) -> str:
        """The type as documents show it."""
        word = _PLAIN_WORDS.get(self.kind, self.kind)
        return f"{word} ({self.unit})" if self.unit else word

    @abstractmethod
    def parse(self, text: str) -> T:
        """Return the value of a text that is not empty, or raise Fault."""

    def canonical(self, text: str, value: T) -> str:
        """Return the text by which /etc/dms-settings shows a value."""
        return text

    def remark(self, text: str) -> tuple[str, str]:
        """Return what to tell of a text that is read, but not as it is written: cause and remedy, or empty texts."""
        return "", ""

    def quote(self, text: str) -> str:
        """Return a value for a message; that of a secret is never repeated."""
        if self.secret:
            return "its value"
        return quoted(text)


def quoted(text: str) -> str:
    """Return a text of unknown origin as one short, printable, quoted piece."""
    short = text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + "…"
    return repr(short)


_WORDS_FOR: Final = {
    **dict.fromkeys(("1", "yes", "true", "on", "y", "enable", "enabled"), "1"),
    **dict.fromkeys(("0", "no", "false", "off", "n", "disable", "disabled", "none"), "0"),
}


class Flag(Field[bool]):
    """0 or 1; anything else warns and counts as 0, as docker-mailserver counts it."""

    kind = "bool"

    def __init__(self, default: str | Same, help: str, *, when: str = "", secret: bool = False) -> None:
        super().__init__(default, help, when=when, on_error="warn", fallback=False, secret=secret)

    @property
    def type_text(self) -> str:
        return "0 or 1"

    def parse(self, text: str) -> bool:
        word = text.strip()
        if word in ("0", "1"):
            return word == "1"
        bare = word.strip("'\"= ").lower()
        # A digit that is not ASCII looks like one.
        likely = _WORDS_FOR.get(str(int(bare)) if bare.isdecimal() else bare, "1 to switch it on, 0 to switch it off")
        raise Fault("must be 0 or 1; it counts as 0", f"write {self.name}={likely}")

    def canonical(self, text: str, value: bool) -> str:
        return "1" if value else "0"


class Choice(Field[str]):
    """One of a few words."""

    kind = "enum"

    def __init__(self, default: str, choices: tuple[str, ...], help: str, **options: Unpack[Options]) -> None:
        super().__init__(default, help, **options)
        self.choices = choices

    @property
    def type_text(self) -> str:
        return ", ".join(choice or "empty" for choice in self.choices)

    def parse(self, text: str) -> str:
        word = text.strip()
        if word in self.choices:
            return word
        for choice in self.choices:
            if choice and choice.lower() == word.strip("'\"").lower():
                raise Fault(f"is not one of {self.type_text}", f"write {self.name}={choice}")
        raise Fault(f"is not one of {self.type_text}", f"write one of them or remove {self.name}")

    def canonical(self, text: str, value: str) -> str:
        return value


class Whole(Field[int]):
    """A whole number between `minimum` and `maximum`."""

    kind = "int"

    def __init__(
        self, default: str, help: str, *, minimum: int = 0, maximum: int = 2**63 - 1, **options: Unpack[Options]
    ) -> None:
        super().__init__(default, help, **options)
        self.minimum = minimum
        self.maximum = maximum

    def parse(self, text: str) -> int:
        word = text.strip()
        digits = word.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 19:
            bare = word.strip("'\"")
            example = bare if bare.isascii() and bare.isdigit() else self.default
            raise Fault("is not a whole number", f"write digits only, such as {self.name}={example}")
        number = int(word)
        if number < self.minimum:
            raise Fault(f"is less than {self.minimum}", f"write {self.name}={self.minimum} or more")
        if number > self.maximum:
            raise Fault(f"is more than {self.maximum}", f"write {self.name}={self.maximum} or less")
        return number

    def canonical(self, text: str, value: int) -> str:
        return str(value)


class Number(Field[float]):
    """A decimal number, also negative."""

    kind = "float"

    def parse(self, text: str) -> float:
        word = text.strip()
        if word.isascii() and any(char.isdigit() for char in word) and not set(word) - set("+-.0123456789eE"):
            try:
                number = float(word)
            except ValueError:
                number = float("inf")
            if abs(number) < 1e300:
                return number
        raise Fault("is not a number", f"write a number with a decimal point, such as {self.name}={self.default}")

    def canonical(self, text: str, value: float) -> str:
        return text.strip()


def check_printable(text: str) -> None:
    """Raise Fault for a text that cannot stand in a line of a configuration file."""
    if text.isprintable():
        return
    for char in text:
        if char in "\r\n":
            raise Fault("holds a line break", "write it in one line")
        if "\ud800" <= char <= "\udfff":
            raise Fault("is not valid UTF-8", "save it as UTF-8")
        if (char < " " and char != "\t") or char == "\x7f":
            raise Fault(f"holds the control character {char!r}", "remove it")


class Text(Field[str]):
    """A line of text; `one_word`: without blanks."""

    def __init__(self, default: str | Same, help: str, *, one_word: bool = False, **options: Unpack[Options]) -> None:
        super().__init__(default, help, **options)
        self.one_word = one_word

    def parse(self, text: str) -> str:
        check_printable(text)
        if not self.one_word:
            return text
        word = text.strip()
        if len(word.split()) > 1:
            raise Fault("holds blanks", f"write {self.name} without blanks")
        return word

    def canonical(self, text: str, value: str) -> str:
        return value


class FilePath(Text):
    """The path of a file in the container."""

    kind = "path"
