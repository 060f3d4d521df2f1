"""Control characters: what no line of a configuration file can hold without meaning something else to its reader."""

import re
from typing import Final

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_NAMES: Final = {"\t": "a tab", "\n": "a line break", "\r": "a carriage return"}


def control_character(text: str, *, allowed: str = "") -> str:
    """Return the name of the first control character (0x00 to 0x1f, 0x7f) that is not `allowed`, "" without one."""
    for match in _CONTROL.finditer(text):
        if match[0] not in allowed:
            return _NAMES.get(match[0], f"0x{ord(match[0]):02x}")
    return ""
