"""Control characters: what no line of a configuration file can hold without meaning something else to its reader."""

import re
from typing import Final

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""C0, DEL, C1 (ISO 6429; NEL ends a line), and the separators of lines and paragraphs of Unicode."""
_NAMES: Final = {"\t": "a tab", "\n": "a line break", "\r": "a carriage return"}


def control_character(text: str, *, allowed: str = "") -> str:
    """Return the name of the first control character that is not `allowed`, "" without one."""
    for match in _CONTROL.finditer(text):
        if match[0] not in allowed:
            return _NAMES.get(match[0], f"0x{ord(match[0]):02x}")
    return ""
