"""Settings as files that a shell can read: /etc/dms-settings and the exports in root's .bashrc."""

from collections.abc import Mapping


def quote(text: str) -> str:
    """Return a text as one word for a POSIX shell, always in single quotes."""
    return "'" + text.replace("'", "'\\''") + "'"


def settings_file(effective: Mapping[str, str]) -> str:
    """Return lines NAME='value', sorted by name."""
    return "".join(f"{name}={quote(text)}\n" for name, text in sorted(effective.items()))


def exports(effective: Mapping[str, str]) -> str:
    """Return lines export NAME='value', sorted by name."""
    return "".join(f"export {name}={quote(text)}\n" for name, text in sorted(effective.items()))
