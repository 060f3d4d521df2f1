"""acme_extract.py FILE FQDN --key|--cert: print what Traefik's acme.json holds for a name, for scripts."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from dmsinit.render.tls.acme import covering, decoded, entries


def main(arguments: Sequence[str] | None = None) -> int:
    """Print PEM and return 0; return 1 with the cause on standard error when there is none for that name."""
    parser = argparse.ArgumentParser(prog="acme_extract.py", description="Print a key or certificate out of acme.json.")
    parser.add_argument("file", metavar="FILE", help="Traefik's acme.json")
    parser.add_argument("name", metavar="FQDN", help="the name that the certificate has to cover")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--key", dest="field", action="store_const", const="key", help="print the private key")
    what.add_argument("--cert", dest="field", action="store_const", const="certificate", help="print the chain")
    chosen = parser.parse_args(arguments)
    try:
        found = covering(chosen.name.lower(), entries(Path(chosen.file).read_bytes()), time.time())
        if found:
            sys.stdout.write(decoded(found.entry, chosen.field).decode())
            return 0
        cause = f"it holds no certificate for {chosen.name}; let Traefik request one"
    except OSError as error:
        cause = f"{error.strerror}; name the file that Traefik writes"
    except (ValueError, TypeError) as error:
        cause = f"it is damaged ({error}); let Traefik write it again"
    sys.stderr.write(f"{parser.prog}: cannot read {chosen.file}: {cause}\n")
    return 1
