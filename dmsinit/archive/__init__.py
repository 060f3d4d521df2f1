"""Backup and restore: one tar archive of the configuration, the mail and the state, that can prove it is whole.

`layout` says how an archive looks, `scan` finds what goes into it, `write` writes it, `read` proves it, `restore`
brings it back.
"""

from dmsinit.archive.layout import ArchiveError, Result
from dmsinit.archive.read import verify
from dmsinit.archive.restore import restore
from dmsinit.archive.write import backup

__all__ = ["ArchiveError", "Result", "backup", "restore", "verify"]
