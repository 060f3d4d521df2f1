"""What surrounds the value of a variable and is not meant: quotation marks, a comment, the end of a Windows line.

Whether it is removed depends on the variable. Where no valid value can hold it (numbers, words, hosts, addresses,
paths), it is. In free text (filters, distinguished names, sentences) a number sign may be meant, and a password is
never changed. What was removed, or looks like it and was kept, is reported in every case.
"""

import re
from typing import Any, Final

from dmsinit.base.literal import QUOTATION_MARKS, Cleaned, between_marks, clean, without_comment
from dmsinit.problem import Problem
from dmsinit.settings.field import Field, Text, quoted
from dmsinit.settings.former import FORMER
from dmsinit.settings.model import FIELDS, is_secret

_LIKE_A_COMMENT: Final = re.compile(r"\s{2}#|\s#(?:\s|$)")
"""`[SPAM #1]` is a subject; a number sign with more blanks around it is rather a comment."""

_FREE_KEYS: Final = re.compile(r"FILTER|FORMAT|ATTRS|BASE|DN(?:_|$)")
"""What the names of LDAP_* and DOVECOT_* variables that hold free text contain."""


def field_of(name: str) -> Field[Any] | None:
    """Return how the value of a variable is to be read; None for variables that are not ours.

    Former names, and the LDAP_* and DOVECOT_* variables that are passed through, have no field of their own.
    """
    if name in FIELDS:
        return FIELDS[name]
    former = FORMER.get(name)
    if former is not None and not former.quiet:
        return Text("", "", free=former.kind == "string", secret=is_secret(name))
    if name.startswith(("LDAP_", "DOVECOT_")):
        return Text("", "", free=bool(_FREE_KEYS.search(name)), secret=is_secret(name))
    return None


def plain(where: str, text: str, field: Field[Any]) -> tuple[str, list[Problem]]:
    """Return the value of a field without what surrounds it, and a warning if there was anything."""
    if not field.free and not field.secret:
        cleaned = clean(text)
    elif text.endswith("\r"):
        cleaned = Cleaned(text.rstrip("\r"), carriage_return=True)
    else:
        cleaned = Cleaned(text)
    if field.free and not field.secret:
        cleaned = _free(cleaned, keeps_quotes=field.takes_quotes)
    elif field.secret and between_marks(cleaned.text) == "":
        cleaned = cleaned._replace(text="", quotes=True)
    causes, remedies = [], []
    if cleaned.carriage_return:
        causes.append("ends with a carriage return, which is removed")
        remedies.append("save the file with Unix line endings")
    if cleaned.quotes:
        only = "consists of quotation marks and counts as empty"
        causes.append("is in quotation marks, which are removed" if cleaned.text else only)
        remedies.append("write it without quotation marks")
    if cleaned.comment:
        causes.append("has a comment behind it, which is removed")
        remedies.append("move the comment to a line of its own")
    for cause, remedy in _kept(cleaned.text, field):
        causes.append(cause)
        remedies.append(remedy)
    if not causes:
        return cleaned.text, []
    subject = "the value" if field.secret else field.quote(text)
    if cleaned.text and cleaned.text != text and not field.secret:
        causes[-1] += f"; the value is {quoted(cleaned.text)}"
    return cleaned.text, [Problem(where, f"{subject} {' and '.join(causes)}", " and ".join(remedies))]


def _free(cleaned: Cleaned, *, keeps_quotes: bool) -> Cleaned:
    """Take quotation marks away from around free text, and a comment that follows the closing one."""
    bare = cleaned.text.strip()
    shorter = without_comment(bare) if between_marks(without_comment(bare)) is not None else bare
    inner = between_marks(shorter)
    if inner is None:
        return cleaned
    if keeps_quotes and inner:
        return cleaned._replace(text=shorter, comment=shorter != bare)
    return cleaned._replace(text=inner, quotes=True, comment=shorter != bare)


def _kept(text: str, field: Field[Any]) -> list[tuple[str, str]]:
    """Return what looks unintended and stays."""
    found = []
    if field.secret and between_marks(text) is not None:
        found.append(("is in quotation marks, which are kept as part of it", "remove them if they are not meant"))
    elif not field.free and not field.secret and {text[:1], text[-1:]} & set(QUOTATION_MARKS):
        found.append(("begins or ends with a quotation mark, which is kept", "remove it if it is not meant"))
    if (field.free or field.secret) and _LIKE_A_COMMENT.search(text):
        remedy = "move the comment to a line of its own, if it is one"
        found.append(("holds ' #', which is kept as part of it", remedy))
    return found
