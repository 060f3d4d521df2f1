"""Settings as files that a shell can read: /etc/dms-settings and the exports in root's .bashrc."""

from collections.abc import Mapping


def quote(text: str) -> str:
    """Return a text as one word for a POSIX shell, always in single quotes."""
    return "'" + text.replace("'", "'\\''") + "'"


def settings_file(effective: Mapping[str, str]) -> str:
    """Return lines NAME='value', sorted as lines (like `sort` in the C locale)."""
    return "".join(sorted(f"{name}={quote(text)}\n" for name, text in effective.items()))


def exports(effective: Mapping[str, str]) -> str:
    """Return lines export NAME='value', sorted as lines; an empty TZ, which C libraries take for UTC, is unset."""
    lines = sorted(f"export {name}={quote(text)}\n" for name, text in effective.items())
    return "".join([*lines, "unset TZ\n"] if effective.get("TZ") == "" else lines)
