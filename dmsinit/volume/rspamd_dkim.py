"""DKIM keys for Rspamd in the config volume: rspamd/dkim/NAME.{private.txt,public.txt,public.dns.txt}.

NAME is `rsa-SIZE-SELECTOR-DOMAIN` or `ed25519-SELECTOR-DOMAIN` (RFC 8463). The `.public.txt` is the DNS record in zone
file form, `.public.dns.txt` its text alone. The first key brings rspamd/override.d/dkim_signing.conf, which says what
signs what; it is the user's from then on.
"""

import pwd
from base64 import b64decode, b64encode
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from dmsinit.base.beneath import opened, owner_of
from dmsinit.volume import dkim, store
from dmsinit.volume.errors import EditError
from dmsinit.volume.lock import Tell, exclusive, unheard

KeyType = Literal["rsa", "ed25519"]
DIRECTORY: Final = "rspamd/dkim"
SIGNING: Final = "rspamd/override.d/dkim_signing.conf"
INSTALLED: Final = f"/tmp/docker-mailserver/{DIRECTORY}"  # noqa: S108  the mount point; Rspamd reads keys where they lie
USER: Final = "_rspamd"
_ED25519_BYTES: Final = 32

_CONFIGURATION: Final = """\
# Which key signs mail of which domain: https://docs.rspamd.com/modules/dkim_signing
# Made with the first key by `setup config dkim`; yours to change from then on.
enabled = true;

sign_authenticated = true;
sign_local = false;
try_fallback = false;

use_domain = "header";
use_redis = false;
use_esld = true;
allow_username_mismatch = true;
check_pubkey = true;

domain {
  %(domain)s {
    path = "%(path)s";
    selector = "%(selector)s";
  }
}
"""


@dataclass(frozen=True)
class Made:
    """A new key: its private file, the text to publish, and whether the signing configuration was there already."""

    private: Path
    record: str
    configured_before: bool


def make_key(
    directory: Path, domain: str, *, selector: str, kind: KeyType, bits: int, force: bool = False, tell: Tell = unheard
) -> Made:
    """Make a key pair, and the signing configuration if there is none; EditError says why not."""
    dkim.check(bits, selector, domain)
    name = f"rsa-{bits}-{selector}-{domain}" if kind == "rsa" else f"ed25519-{selector}-{domain}"
    with exclusive(directory, tell):
        root = directory / DIRECTORY
        files = [root / f"{name}.{part}.txt" for part in ("private", "public", "public.dns")]
        present = [str(path) for path in files if path.exists()]
        if present and not force:
            raise EditError(f"cannot make a key: {present[0]} exists; use --force to replace it")
        private, public = _rsa(bits) if kind == "rsa" else _ed25519()
        record = f"v=DKIM1; k={kind}; p={public}"
        signing = directory / SIGNING
        configured = signing.exists()
        try:
            root.mkdir(parents=True, exist_ok=True)
            signing.parent.mkdir(parents=True, exist_ok=True)
            store.replace(files[1], _zone(selector, record).encode(), new_mode=0o644, volume=directory)
            store.replace(files[2], f"{record}\n".encode(), new_mode=0o644, volume=directory)
            store.replace(files[0], private.encode(), new_mode=0o600, volume=directory)
            _give_away(directory, root, files)
            if not configured:
                path = f"{INSTALLED}/{files[0].name}"
                text = _CONFIGURATION % {"domain": domain, "path": path, "selector": selector}
                store.replace(signing, text.encode(), new_mode=0o644, volume=directory)
        except OSError as error:
            raise EditError(f"cannot make a DKIM key: {error.filename}: {error.strerror}") from error
    return Made(files[0], record, configured)


def readable_by_rspamd(path: Path) -> bool:
    """Return whether Rspamd can read a key: it is its own, or everybody's; true where there is no such user."""
    try:
        user = pwd.getpwnam(USER)
    except KeyError:
        return True
    status = path.stat()
    return status.st_uid == user.pw_uid or bool(status.st_mode & 0o004)


def _rsa(bits: int) -> tuple[str, str]:
    private = dkim.openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}")
    return private, dkim.body(dkim.openssl("pkey", "-pubout", stdin=private))


def _ed25519() -> tuple[str, str]:
    """Return both halves as Rspamd and DNS have them: base64 of the bare 32 bytes, which end the DER form."""
    pem = dkim.openssl("genpkey", "-algorithm", "ED25519")
    halves = (dkim.body(pem), dkim.body(dkim.openssl("pkey", "-pubout", stdin=pem)))
    private, public = (b64encode(b64decode(half)[-_ED25519_BYTES:]).decode() for half in halves)
    return private, public


def _zone(selector: str, record: str) -> str:
    start, _, key = record.partition("p=")
    return f'{selector}._domainkey IN TXT ( "{start}"\n\t  {dkim.strings(f"p={key}")} ) ;\n'


def _give_away(directory: Path, root: Path, files: list[Path]) -> None:
    """Give keys to Rspamd where it and the right to do so exist; each start of the container does it again."""
    with suppress(KeyError, PermissionError), opened(str(root), owner_of(str(directory))) as keys:
        user = pwd.getpwnam(USER)
        for name in (".", *(path.name for path in files)):
            keys.own(name, user.pw_uid, user.pw_gid)
