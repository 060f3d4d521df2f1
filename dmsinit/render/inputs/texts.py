"""Override files as text, and what reading them is worth telling."""

from dataclasses import dataclass, field
from typing import Final

from dmsinit.problem import Problem
from dmsinit.render.paths import VOLUME, Root

BYTE_ORDER_MARK: Final = "\ufeff"


@dataclass
class Findings:
    """What the override files are worth telling about."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def read(root: Root, name: str, findings: Findings) -> str | None:
    """Return the text of an override file with LF line endings; problems are reported and yield None."""
    try:
        data = root.read(f"{VOLUME}/{name}")
    except OSError as error:
        remedy = "make it a file that root in the container can read"
        findings.problems.append(Problem(name, f"cannot be read: {error.strerror}", remedy))
        return None
    text = (data or b"").decode("utf-8", "surrogateescape").removeprefix(BYTE_ORDER_MARK)
    if "\r\n" in text:
        line = text[: text.index("\r\n")].count("\n") + 1
        cause = "has Windows line endings (CRLF), which are read as LF"
        findings.warnings.append(Problem(f"{name}:{line}", cause, "save it with Unix line endings"))
    text = text.replace("\r\n", "\n")
    return text if text.endswith("\n") or not text else text + "\n"
