"""How an archive looks: the contract between `write`, `read` and `restore`.

A tar archive in the PAX format (POSIX.1-2001), bare or compressed with gzip or zstd, with these members in this order:

- `manifest.json`: format, version, time, the server's name, and for each volume its path and what was counted in it
- `config/…`, `mail/…`, `mail-state/…`, `mail-logs/…`: the volumes, each beginning with its own directory
- `summary.json`: what was really written, and what was not and why
- `SHA256SUMS`: a line for each regular file before, in their order, as sha256sum(1) writes and checks them

Extended attributes are SCHILY.xattr.NAME headers, as in GNU tar. Members are regular files, directories, symbolic
links that stay within the volumes, and hard links to earlier members.
"""

import os.path
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
SUMMARY: Final = "summary.json"
CHECKSUMS: Final = "SHA256SUMS"
XATTR: Final = "SCHILY.xattr."

CONFIG: Final = "config"
MAIL: Final = "mail"
STATE: Final = "mail-state"
LOGS: Final = "mail-logs"
PATHS: Final[Mapping[str, str]] = {
    CONFIG: "/tmp/docker-mailserver",  # noqa: S108 - the contract's mount point
    MAIL: "/var/mail",
    STATE: "/var/mail-state",
    LOGS: "/var/log/mail",
}
"""Where each volume is mounted; the order is that of the archive."""


class ArchiveError(Exception):
    """The archive cannot be written, trusted or restored; the message is for the person who asked."""


@dataclass
class Counts:
    """What is in an archive, and what is not: `vanished` was deleted or moved while it was being read."""

    files: int = 0
    bytes: int = 0
    directories: int = 0
    links: int = 0
    vanished: int = 0
    changed: int = 0
    """Files that became shorter while they were read; the archive holds zeros for the rest."""

    def document(self) -> dict[str, int]:
        return dict(vars(self))


@dataclass
class Result:
    """How a backup, a verification or a restore ended; `done` is a participle: written, verified, restored."""

    done: str
    place: str
    manifest: dict[str, Any]
    counts: Counts
    warnings: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        """Return the result in a line."""
        from dmsinit.base import text

        counts = self.counts
        parts = [f"{counts.files} files", text.size(counts.bytes)]
        if counts.vanished:
            parts.append(f"{counts.vanished} vanished meanwhile")
        origin = self.manifest.get("fqdn") or "a server without a name"
        return f"{self.place} {self.done}: {', '.join(parts)}; {origin}, {self.manifest.get('created')}"

    def document(self) -> dict[str, Any]:
        """Return the result for `--json`."""
        return {
            "result": self.done, "file": self.place, "manifest": self.manifest, "counts": self.counts.document(),
            "warnings": self.warnings,
        }  # fmt: skip


# Names


def split(name: str) -> tuple[str, str]:
    """Return the volume and the path within it ("" for the volume's own directory)."""
    volume, _, path = name.rstrip("/").partition("/")
    return volume, path


def link_leads_out(volume: str, path: str, target: str) -> bool:
    """Say whether a symbolic link at `path` in a volume leads to anywhere but the volumes."""
    place = os.path.join(PATHS[volume], os.path.dirname(path), target)
    resolved = os.path.normpath(place)
    return not any(resolved == root or resolved.startswith(f"{root}/") for root in PATHS.values())


def objection(member: tarfile.TarInfo) -> str:
    """Return why a member may not be restored, "" when it may; whoever made the archive may mean harm."""
    name = member.name
    parts = name.rstrip("/").split("/")
    if name.startswith("/") or not name or any(part in ("", ".", "..") for part in parts) or "\0" in name:
        return "its name points outside the volumes"
    if name in (MANIFEST, SUMMARY, CHECKSUMS):
        return "" if member.isreg() else "it is not a file"
    volume, path = split(name)
    if volume not in PATHS:
        return "it does not belong to any volume"
    if not path and not member.isdir():
        return "it is not a directory"
    if member.issym():
        return "it is a link that points outside the volumes" if link_leads_out(volume, path, member.linkname) else ""
    if member.islnk():
        target = tarfile.TarInfo(member.linkname)
        if objection(target) or not split(member.linkname)[1] or split(member.linkname)[0] != volume:
            return "it is a link that points outside its volume"
        return ""
    return "" if member.isreg() or member.isdir() else "it is not a file, directory or link"


# Checksums, as sha256sum(1) has them


def checksum_line(digest: str, name: str) -> bytes:
    """Return a line of SHA256SUMS; names with a backslash or a newline are escaped."""
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    prefix = "\\" if escaped != name else ""
    return f"{prefix}{digest}  {escaped}\n".encode("utf-8", "surrogateescape")


def named_in(line: bytes) -> str:
    """Return the name in a line of SHA256SUMS, for messages."""
    return line.rstrip(b"\n").partition(b"  ")[2].decode("utf-8", "replace")
