"""Kinds of fields that only a few variables need: lists, sizes, durations, attribute lists, a listening address."""

import re
from typing import Final, Unpack

from dmsinit.base import dovecot_fields
from dmsinit.base.next_hop import is_host, next_hop
from dmsinit.settings.field import Choice, Fault, Field, Options, Same, Text, check_printable, quoted

_UNIT_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_UNIT_POWER: Final[dict[str, int]] = {"": 0, "K": 1, "M": 2, "G": 3}
_SIZE: Final = re.compile(r"([0-9]{1,15})([KMG]?)", re.IGNORECASE | re.ASCII)
_ITEM: Final = re.compile(r"(?:%\{[^}]*\}|[^,])+")
"""An item of a list with commas; those within an expression do not separate."""
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhd]?)", re.ASCII)


class Size(str):
    """A size as ClamAV writes it (`25M`), with its two readings in bytes."""

    __slots__ = ()

    @property
    def si_bytes(self) -> int:
        """Bytes, with K = 1000."""
        return self._bytes(1000)

    @property
    def binary_bytes(self) -> int:
        """Bytes, with K = 1024."""
        return self._bytes(1024)

    def _bytes(self, base: int) -> int:
        unit = self[-1:].upper() if self[-1:].isalpha() else ""
        number = int(self[:-1] if unit else self)
        for _ in range(_UNIT_POWER[unit]):
            number *= base
        return number


class SizeField(Field[Size]):
    """A number of bytes with the suffix K, M or G, or none."""

    kind = "size"

    @property
    def type_text(self) -> str:
        return "size (K, M or G)"

    def parse(self, text: str) -> Size:
        word = text.strip()
        if not _SIZE.fullmatch(word):
            raise Fault("is not a size", f"write a whole number with K, M or G, such as {self.name}={self.default}")
        return Size(word)

    def canonical(self, text: str, value: Size) -> str:
        return str(value)


class Duration(Field[float]):
    """A time in seconds, written as a number with s, m, h or d; `bare`: also without unit, or a fraction."""

    kind = "duration"

    def __init__(self, default: str, help: str, *, bare: bool = False, **options: Unpack[Options]) -> None:
        super().__init__(default, help, **options)
        self.bare = bare

    @property
    def type_text(self) -> str:
        return "duration (s, m, h or d; without unit: seconds)" if self.bare else "duration (s, m, h or d)"

    def parse(self, text: str) -> float:
        word = text.strip()
        match = _DURATION.fullmatch(word)
        if not match or (not self.bare and (not match[2] or "." in word)):
            raise Fault("is not a duration", f"write a number with s, m, h or d, such as {self.name}={self.default}")
        seconds = float(match[1]) * _UNIT_SECONDS[match[2]]
        if seconds <= 0:
            raise Fault("is not longer than nothing", f"write more, such as {self.name}={self.default}")
        return seconds

    def canonical(self, text: str, value: float) -> str:
        return text.strip()


class Words(Field[tuple[str, ...]]):
    """A list, separated by commas or blanks; `choices` limits the words."""

    kind = "list"

    def __init__(
        self, default: str | Same, help: str, *, choices: tuple[str, ...] = (), **options: Unpack[Options]
    ) -> None:
        super().__init__(default, help, **options)
        self.choices = choices

    @property
    def type_text(self) -> str:
        return f"list of {', '.join(self.choices)}" if self.choices else "list"

    def parse(self, text: str) -> tuple[str, ...]:
        check_printable(text)
        words = tuple(text.replace(",", " ").split())
        wrong = next((word for word in words if self.choices and word not in self.choices), None)
        if wrong is not None:
            raise Fault(f"holds {quoted(wrong)}", f"write any of {', '.join(self.choices)}, separated by commas")
        return words

    def canonical(self, text: str, value: tuple[str, ...]) -> str:
        return text.strip()


class Pairs(Field[tuple[tuple[str, str], ...]]):
    """A list `ldapattribute=dovecotfield,…` as Dovecot 2.3 wrote it, also with templates; see `dovecot_fields`.

    Its value are the fields of Dovecot 2.4 with their values, such as `("home", "%{ldap:mailHomeDirectory}")`.
    """

    kind = "list"

    @property
    def type_text(self) -> str:
        return "list of ldapattribute=dovecotfield"

    def parse(self, text: str) -> tuple[tuple[str, str], ...]:
        check_printable(text)
        pairs: list[tuple[str, str]] = []
        for item in map(str.strip, _ITEM.findall(text)):
            attribute, equals, rest = (part.strip() for part in item.partition("="))
            name, _, template = (part.strip() for part in rest.partition("="))
            if not (equals and name and (attribute or template)) or attribute[:1] in ("@", "!"):
                remedy = "write pairs ldapattribute=dovecotfield, separated by commas"
                raise Fault(f"holds {quoted(item)}", remedy)
            try:
                pairs += dovecot_fields.attribute(attribute, name, template).items()
            except dovecot_fields.Untranslatable as reason:
                raise Fault(f"holds {quoted(item)}, which Dovecot 2.4 does not know", str(reason)) from None
        return tuple(pairs)

    def canonical(self, text: str, value: tuple[tuple[str, str], ...]) -> str:
        return ",".join(map(str.strip, _ITEM.findall(text)))

    def remark(self, text: str) -> tuple[str, str]:
        names = {item.partition("=")[2].strip() for item in map(str.strip, _ITEM.findall(text))}
        new = {name for name, _ in self.parse(text)}
        if names - {"mail"} <= new:
            return "", ""
        read = ", ".join(f"{name} = {value}" for name, value in self.parse(text))
        return f"is read as {read} for Dovecot 2.4", "check that this is what you mean"


class Filter(Text):
    """An LDAP filter for Dovecot; variables of Dovecot 2.3, which are plain text today, are translated."""

    def parse(self, text: str) -> str:
        return dovecot_fields.modern_variables(super().parse(text))

    def remark(self, text: str) -> tuple[str, str]:
        new = self.parse(text)
        if new == text:
            return "", ""
        return f"has variables of Dovecot 2.3 and is read as {quoted(new)}", "write that instead"


class Listen(Text):
    """`host:port` where something listens; an IPv6 address stands in brackets, an empty host means all."""

    @property
    def type_text(self) -> str:
        return "host:port"

    def parse(self, text: str) -> str:
        check_printable(text)
        word = text.strip()
        host, colon, port = word.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        if not (colon and port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
            raise Fault("has no port between 1 and 65535 at its end", f"write it like {self.name}={self.default}")
        if (":" in host and not bracketed) or len(host.split()) > 1:
            raise Fault("is not an address", f"write it like {self.name}={self.default} or {self.name}=[::1]:{port}")
        return word


class RelayName(Text):
    """A host name or address without the brackets that are put around it."""

    def parse(self, text: str) -> str:
        check_printable(text)
        word = text.strip()
        if "[" in word or "]" in word or len(word.split()) > 1:
            bare = word.strip("[]").partition("]")[0]
            raise Fault("is not a bare host name", f"write {self.name}={bare}, and the port in RELAY_PORT")
        if word and not is_host(word):
            match = re.fullmatch(r"(?:\w+://)?([^:/]*)(?::(\d+))?/?", word)
            host, port = (match.group(1), match.group(2)) if match else ("", None)
            host = host if is_host(host) else "HOST"
            raise Fault(
                "is not a host name or an address", f"write {self.name}={host}, and RELAY_PORT={port or 'PORT'}"
            )
        return word


class NextHop(Text):
    """Where Postfix sends mail to, in its own notation: hosts, each with a port or not, and separated by commas."""

    def parse(self, text: str) -> str:
        value = super().parse(text)
        for word in value.split(","):
            cause = next_hop(word.strip()) if "$" not in word else ""
            if word.strip() and cause:
                raise Fault("is not where Postfix can send mail to", cause)
        return value


class YesNo(Choice):
    """The word yes or no, as the daemons' own files write it."""

    def __init__(self, default: str, help: str, **options: Unpack[Options]) -> None:
        super().__init__(default, ("yes", "no"), help, **options)


class Protocols(Choice):
    """`all`, or IP versions in Postfix's own notation: one word, or several with commas or blanks."""

    def parse(self, text: str) -> str:
        words = text.replace(",", " ").split()
        if words and all(word in self.choices for word in words):
            return ", ".join(words)
        return super().parse(text)


class Prefix(Text):
    """A text whose blanks at the end count; quotes around it keep them and are not part of it."""

    takes_quotes = True

    def parse(self, text: str) -> str:
        check_printable(text)
        if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
            return text[1:-1]
        return text
