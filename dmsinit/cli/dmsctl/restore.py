"""`dmsctl restore FILE`."""

import argparse

from dmsinit import archive
from dmsinit.cli.dmsctl.backup import show
from dmsinit.cli.dmsctl.command import Arguments, refuse


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the archive."""
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--force", action="store_true", help="restore over what is in the volumes")


def run(arguments: Arguments) -> int:
    """Bring it back."""
    try:
        result = archive.restore(arguments.file, force=arguments.force)
    except archive.ArchiveError as error:
        return refuse(error)
    return show(result, arguments)
