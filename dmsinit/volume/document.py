"""A file of the config volume as a person wrote it: change one entry, keep everything else byte for byte."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dmsinit.base.control_characters import control_character
from dmsinit.volume import store
from dmsinit.volume.errors import EditError
from dmsinit.volume.files import BYTE_ORDER_MARK


@dataclass(frozen=True)
class Entry:
    """One logical line: its key, its text without line endings, and which physical lines it is made of."""

    key: str
    text: str
    lines: tuple[int, ...]


class Document:
    """The lines of one file, to be changed and saved while the volume is locked.

    `key_of` finds the key in a line's text; with `continued` a line that begins with a blank belongs to the one before
    (postmap(1)). Undecodable bytes of other lines survive.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        key_of: Callable[[str], str],
        *,
        continued: bool = False,
        new_mode: int = 0o644,
    ) -> None:
        self.path = directory / name
        self._volume = directory
        self._key_of = key_of
        self._continued = continued
        self._new_mode = new_mode
        data = store.load(self.path)
        self._before = data
        self._mark = BYTE_ORDER_MARK if data.startswith(BYTE_ORDER_MARK) else b""
        # A removed line stays as nothing, so that the numbers in entries hold.
        self._lines = [line + b"\n" for line in data.removeprefix(self._mark).split(b"\n")]
        self._lines[-1] = self._lines[-1].removesuffix(b"\n")

    def entries(self) -> list[Entry]:
        """Return the logical lines that are neither blank nor comment, in order."""
        found: list[Entry] = []
        for number, raw in enumerate(self._lines):
            text = raw.decode("utf-8", "surrogateescape").rstrip()
            bare = text.lstrip()
            if not bare or bare.startswith("#"):
                continue
            if self._continued and text[0] in " \t" and found:
                last = found[-1]
                found[-1] = Entry(last.key, last.text + text, (*last.lines, number))
            else:
                found.append(Entry(self._key_of(bare).lower(), bare, (number,)))
        return found

    def find(self, key: str) -> list[Entry]:
        """Return the entries with a key, whatever its case."""
        return [entry for entry in self.entries() if entry.key == key.lower()]

    def append(self, text: str) -> None:
        """Add a line at the end, with the line ending of the one before it."""
        written = [line for line in self._lines if line]
        ending = _ending(written[-1]) if written else b"\n"
        if not ending:
            ending = _ending(written[0]) or b"\n"
            self._lines[-1] += ending
        self._lines.append(_encode(text) + ending)

    def replace(self, entry: Entry, text: str) -> None:
        """Give an entry a new text, on one line at its place."""
        first = entry.lines[0]
        self._lines[first] = _encode(text) + _ending(self._lines[first])
        for number in entry.lines[1:]:
            self._lines[number] = b""

    def extend(self, entry: Entry, text: str) -> None:
        """Add text at the end of an entry."""
        last = entry.lines[-1]
        line = self._lines[last]
        self._lines[last] = line.rstrip() + _encode(text) + _ending(line)

    def remove(self, entry: Entry) -> None:
        """Delete an entry with all its lines."""
        for number in entry.lines:
            self._lines[number] = b""

    def set(self, key: str, text: str) -> None:
        """Make `text` the only entry with this key: at the place of the first one, or at the end."""
        found = self.find(key)
        if found:
            self.replace(found[0], text)
        else:
            self.append(text)
        for entry in found[1:]:
            self.remove(entry)

    def discard(self, key: str) -> bool:
        """Delete all entries with a key; tell whether there was one."""
        found = self.find(key)
        for entry in found:
            self.remove(entry)
        return bool(found)

    def save(self) -> bool:
        """Write the file if it changed, and tell whether it did. Raises EditError."""
        data = self._mark + b"".join(self._lines)
        if data == self._before:
            return False
        store.replace(self.path, data, new_mode=self._new_mode, volume=self._volume)
        self._before = data
        return True


def _ending(line: bytes) -> bytes:
    if line.endswith(b"\r\n"):
        return b"\r\n"
    return b"\n" if line.endswith(b"\n") else b""


def _encode(text: str) -> bytes:
    if found := control_character(text, allowed="\t"):
        raise EditError(f"cannot write a line with a control character ({found}); type it without")
    return text.encode("utf-8", "surrogateescape")
