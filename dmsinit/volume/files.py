"""The config volume's files that hold users' data: their names, and their bytes as numbered lines.

One rule holds for all of them: text is UTF-8 with LF; a line is ignored when it is blank or its first character that is
no blank is `#`. What text editors on other systems leave behind (CRLF, a byte order mark, no final newline) is read
all the same, with one warning for each file.
"""

from pathlib import Path
from typing import Final, NamedTuple

from dmsinit.base.control_characters import control_character
from dmsinit.problem import Problem, Severe

ACCOUNTS: Final = "postfix-accounts.cf"
ALIASES: Final = "postfix-virtual.cf"
REGEXP: Final = "postfix-regexp.cf"
LOCAL_ALIASES: Final = "postfix-aliases.cf"
QUOTAS: Final = "dovecot-quotas.cf"
MASTERS: Final = "dovecot-masters.cf"
RELAY_MAP: Final = "postfix-relaymap.cf"
SASL_PASSWORDS: Final = "postfix-sasl-password.cf"
SEND_ACCESS: Final = "postfix-send-access.cf"
RECEIVE_ACCESS: Final = "postfix-receive-access.cf"

ALL: Final = (
    ACCOUNTS, ALIASES, REGEXP, LOCAL_ALIASES, QUOTAS, MASTERS, RELAY_MAP, SASL_PASSWORDS, SEND_ACCESS, RECEIVE_ACCESS,
)  # fmt: skip

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """One line that counts: its number in the file (from 1) and its text without line ending and trailing blanks."""

    number: int
    text: str


class Findings:
    """What reading found wrong: errors forbid using the volume, warnings tell what was skipped or read otherwise.

    A line that nothing can be made of is skipped with a severe warning: it must not keep all others from being used.
    """

    def __init__(self) -> None:
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []

    def error(self, name: str, number: int, cause: str, remedy: str) -> None:
        self.errors.append(Problem(f"{name}:{number}" if number else name, cause, remedy))

    def skip(self, name: str, number: int, cause: str, remedy: str) -> None:
        self.warnings.append(Severe(f"{name}:{number}", f"{cause}; the line is skipped", remedy))

    def warn(self, name: str, number: int, cause: str, remedy: str = "") -> None:
        self.warnings.append(Problem(f"{name}:{number}" if number else name, cause, remedy))


def load(directory: Path, name: str, findings: Findings) -> list[Line] | None:
    """Return the lines of a file that count, or None when the file does not exist (or cannot be read: an error)."""
    try:
        data = (directory / name).read_bytes()
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        remedy = "remove it, and create the file before it is mounted (an engine makes a directory of a missing file)"
        findings.warn(name, 0, "is a directory where a file belongs; it is ignored", remedy)
        return None
    except OSError as error:
        findings.error(name, 0, f"cannot be read: {error.strerror}", "make it readable for root in the container")
        return None
    return decode(name, data, findings)


def decode(name: str, data: bytes, findings: Findings) -> list[Line]:
    """Return the lines of `data` that count; lines that are not text are skipped with a severe warning."""
    if data.startswith(BYTE_ORDER_MARK):
        findings.warn(name, 1, "begins with a byte order mark, which is skipped", "save it as UTF-8 without BOM")
        data = data.removeprefix(BYTE_ORDER_MARK)
    # Undecodable bytes become lone surrogates, which no valid text holds: comments may hold them, other lines not.
    text = data.decode("utf-8", "surrogateescape")
    if "\r\n" in text:
        _warn_of_crlf(name, text, findings)
        text = text.replace("\r\n", "\n")
    if text.endswith("\r"):
        text = text[:-1]
    lines = [
        Line(number, line.rstrip())
        for number, line in enumerate(text.split("\n"), 1)
        if (begin := line.lstrip()) and not begin.startswith("#")
    ]
    if text.replace("\n", "").replace("\t", "").isprintable():
        return lines
    return [line for line in lines if _is_text(name, line, findings)]


def join_continued(lines: list[Line]) -> list[Line]:
    """Return logical lines as postmap(1) reads them: a line that begins with a blank continues the one before."""
    if not any(line.text[0] in " \t" for line in lines):
        return lines
    joined: list[Line] = []
    for line in lines:
        if line.text[0] in " \t" and joined:
            joined[-1] = Line(joined[-1].number, joined[-1].text + line.text)
        else:
            joined.append(Line(line.number, line.text.lstrip()))
    return joined


def _warn_of_crlf(name: str, text: str, findings: Findings) -> None:
    first = text.count("\n", 0, text.index("\r\n")) + 1
    findings.warn(
        name, first, "has Windows line endings (CRLF), which are read as LF", "save it with Unix line endings"
    )


def _is_text(name: str, line: Line, findings: Findings) -> bool:
    if any("\ud800" <= character <= "\udfff" for character in line.text):
        findings.skip(name, line.number, "is not UTF-8", "save the file with the encoding UTF-8")
        return False
    if found := control_character(line.text, allowed="\t"):
        findings.skip(name, line.number, f"contains a control character ({found})", "delete it, or type the line again")
        return False
    return True
