"""The page docs/reference/environment.md, made from the fields themselves."""

from collections.abc import Iterator
from typing import Any, Final

from dmsinit.settings.field import Choice, Field, Flag, Section
from dmsinit.settings.former import FORMER
from dmsinit.settings.model import SECTIONS

_INTRODUCTION: Final = """\
# Environment variables

<!-- Made by `python -m dmsinit.settings`; change the fields in dmsinit/settings, not this page. -->

Every variable that the container reads.
Names, defaults and meanings are those of docker-mailserver.
`<FQDN>` is the server's full name, `<domain>` what follows its first dot (the name itself, if it has only one dot).

- A variable that is set but empty counts as not set.
- Where a variable is *in use* only under a condition, a bad value matters only then; otherwise it is a warning.
- A bad value ends the start of the container with status 78, after all problems of the configuration were listed.
  Where the table says *bad value: warning*, the start goes on with the default, or what the table names.
- A switch is `0` or `1`; anything else is a warning and counts as `0`.
- `NAME__FILE=/path` takes the value of `NAME` from a file, without the line breaks at its end.
  `NAME` wins if both are set; a file that cannot be read is a warning, and `NAME` stays unset.
- An env file given to `docker run`, and the items of a list in a compose file, keep quotation marks and comments as
  part of the value: `RELAY_HOST="host"`, `ENABLE_CLAMAV=1   # text`.
  They are removed, with a warning that names the variable, where the value is a number, a word, a host, an address or
  a path.
  In filters, distinguished names and sentences only quotation marks around the whole value are removed; a comment that
  does not follow them is part of the value.
  A password is never changed.
- A name that looks like a misspelt one is answered with the name that was probably meant.
- `/etc/dms-settings` in the container holds the effective value of every variable; `dmsctl config` shows them with
  their origin, and without secrets.
"""

_PASSTHROUGH: Final = """\
## Any other LDAP_ and DOVECOT_ variable

With `ACCOUNT_PROVISIONER=LDAP`, `LDAP_<KEY>` sets `<key>` in each of Postfix's LDAP files that has this key, and
`DOVECOT_<KEY>` in Dovecot's LDAP file; a key that is not there is not added.
There is no such way for `POSTFIX_`: parameters of Postfix belong into `postfix-main.cf`.
An unknown name that begins with `POSTFIX_` is a warning.
"""

_FORMER: Final = """\
## Old names

Each is answered with one warning that says what to write instead.
Versions are docker-mailserver's.
"""


def page() -> str:
    """Return the page as Markdown."""
    parts = [_INTRODUCTION, *map(_section, SECTIONS), _PASSTHROUGH, _FORMER + "\n" + _table(_former_rows())]
    return "\n".join(parts)


def _section(section: type[Section]) -> str:
    title, _, more = (section.__doc__ or "").partition(":")
    fields = [field for field in vars(section).values() if isinstance(field, Field)]
    rows = [("Variable", "Values", "Default", "Meaning"), *map(_row, fields)]
    sentence = more.strip()
    return f"## {title}\n\n{sentence[:1].upper()}{sentence[1:]}\n\n{_table(rows)}"


def _row(field: Field[Any]) -> tuple[str, str, str, str]:
    words = [field.help]
    if field.example:
        words.append(f"Example: `{field.name}={field.example}`.")
    if field.when:
        words.append(f"In use with `{field.when}`.")
    if field.on_error == "warn" and not isinstance(field, Flag):
        words.append(f"Bad value: warning{_instead(field)}.")
    if field.secret:
        words.append("Secret.")
    return f"`{field.name}`", _values(field), _default(field), " ".join(words)


def _instead(field: Field[Any]) -> str:
    if field.fallback is None:
        return ""
    return f", counts as `{field.canonical('', field.fallback)}`"


def _values(field: Field[Any]) -> str:
    if isinstance(field, Choice):
        return ", ".join(f"`{choice}`" if choice else "empty" for choice in field.choices)
    return field.type_text


def _default(field: Field[Any]) -> str:
    if not isinstance(field.default, str):
        return " else ".join(f"`{name}`" for name in field.default.names)
    return f"`{field.default}`" if field.default else "empty"


def _former_rows() -> Iterator[tuple[str, ...]]:
    yield "Variable", "State", "What to do"
    for name, former in FORMER.items():
        yield f"`{name}`", former.status, "nothing" if former.quiet else former.remedy


def _table(rows: Iterator[tuple[str, ...]] | list[tuple[str, str, str, str]]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * (lines[0].count(" | ") + 1))
    return "\n".join(lines) + "\n"
