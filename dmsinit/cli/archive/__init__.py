"""Backup and restore: one tar archive of the configuration, the mail and the state, that can prove it is whole.

`layout` says how an archive looks, `scan` finds what goes into it, `write` writes it, `read` proves it, `restore`
brings it back.
"""

from dmsinit.cli.archive.layout import ArchiveError, Result
from dmsinit.cli.archive.read import verify
from dmsinit.cli.archive.restore import restore
from dmsinit.cli.archive.write import backup

__all__ = ["ArchiveError", "Result", "backup", "restore", "verify"]
