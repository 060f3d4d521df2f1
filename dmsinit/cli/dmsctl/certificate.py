"""`dmsctl certificate self-signed`."""

import argparse

from dmsinit.base.server_name import NoDomain, full_name
from dmsinit.cli.dmsctl import private_authority
from dmsinit.cli.dmsctl.command import Arguments, count, print_json, refuse
from dmsinit.cli.errors import DONE


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add names, and how it is made."""
    parser.add_argument("kind", choices=["self-signed"], metavar="self-signed")
    parser.add_argument("--name", default="", metavar="FQDN", help="the server's name (default: its own)")
    parser.add_argument("--also", action="append", default=[], metavar="FQDN", help="another name that clients use")
    parser.add_argument("--rsa", action="store_true", help="RSA keys for very old clients, not elliptic curves")
    parser.add_argument("--days", type=count, default=820, metavar="N", help="valid for N days (default 820)")
    parser.add_argument("--force", action="store_true", help="replace what is there")


def run(arguments: Arguments) -> int:
    """Make it, and print where it is."""
    try:
        name = full_name(arguments.name)
        made = private_authority.self_signed(
            name, arguments.also, rsa=arguments.rsa, days=arguments.days, force=arguments.force
        )
    except NoDomain as error:
        return refuse(f"cannot make a certificate: {error}; give the name with --name mail.example.com")
    except private_authority.Refused as refused:
        return refuse(refused)
    if arguments.json:
        print_json({"name": name, "files": [str(path) for path in made]})
    else:
        print("\n".join(str(path) for path in made))
        print(f"Next: set SSL_TYPE=self-signed, and let clients trust {made[-1].name}.")
    return DONE
