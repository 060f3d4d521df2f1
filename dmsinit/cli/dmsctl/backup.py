"""`dmsctl backup FILE`."""

import argparse
import sys
from typing import Any

from dmsinit import archive
from dmsinit.cli.dmsctl.command import Arguments, print_json, refuse
from dmsinit.cli.errors import DONE, USAGE


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the archive, and what goes into it."""
    parser.add_argument("file", metavar="FILE", help="*.tar, *.tar.gz, *.tar.zst, or `-` for standard output")
    parser.add_argument("--logs", action="store_true", help="take /var/log/mail along")
    parser.add_argument("--force", action="store_true", help="replace FILE")
    parser.add_argument("--verify", action="store_true", help="write nothing: prove that FILE (`-`: input) is whole")


def run(arguments: Arguments) -> int:
    """Write an archive, or prove that one is whole."""
    if arguments.json and arguments.file == "-" and not arguments.verify:
        return refuse("standard output cannot take the archive and --json", USAGE)
    try:
        if arguments.verify:
            result = archive.verify(arguments.file)
        else:
            result = archive.backup(arguments.file, logs=arguments.logs, force=arguments.force)
    except archive.ArchiveError as error:
        return refuse(error)
    return show(result, arguments)


def show(result: Any, arguments: Arguments) -> int:
    """Print what became of an archive; not on a standard output that the archive went to."""
    for warning in result.warnings:
        print(f"! {warning}", file=sys.stderr)
    if arguments.json:
        print_json(result.document())
    else:
        print(result.sentence(), file=sys.stderr if arguments.file == "-" else sys.stdout)
    return DONE
