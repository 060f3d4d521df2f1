"""DKIM keys for Rspamd in the config volume: rspamd/dkim/NAME.{private.txt,public.txt,public.dns.txt}.

NAME is `rsa-SIZE-SELECTOR-DOMAIN` or `ed25519-SELECTOR-DOMAIN` (RFC 8463). The `.public.txt` is the DNS record in zone
file form, `.public.dns.txt` its text alone. The first key brings rspamd/override.d/dkim_signing.conf, which says what
signs what; it is the user's from then on.
"""

import pwd
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from dmsinit.base.beneath import opened, owner_of
from dmsinit.volume import dkim, store
from dmsinit.volume.errors import EditError
from dmsinit.volume.lock import Tell, exclusive, unheard
from dmsinit.volume.signing import SigningKey, of_opendkim

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
use_esld = %s;
allow_username_mismatch = true;
check_pubkey = true;

domain {
%s}
"""


@dataclass(frozen=True)
class Made:
    """A key: its private file, the text to publish, and whether the signing configuration was there already.

    `reused`: it is the key with which OpenDKIM signed, so that its record is published. `brought`: the records of
    OpenDKIM's other keys, which sign now too.
    """

    private: Path
    record: str
    configured_before: bool
    reused: bool = False
    brought: tuple[str, ...] = ()


def configuration(entries: Iterable[tuple[str, str, str]]) -> str:
    """Return a signing configuration for keys given as domain, selector and path."""
    domains: dict[str, list[tuple[str, str]]] = {}
    for domain, selector, path in entries:
        domains.setdefault(domain, []).append((selector, path))
    blocks = []
    for domain, keys in domains.items():
        if len(keys) == 1:
            selector, path = keys[0]
            body = f'    path = "{path}";\n    selector = "{selector}";\n'
        else:
            listed = "".join(f'      {{ path = "{path}"; selector = "{selector}"; }},\n' for selector, path in keys)
            body = f"    selectors [\n{listed}    ]\n"
        blocks.append(f"  {domain} {{\n{body}  }}\n")
    # With it Rspamd looks for keys of domains such as hill.test, and never of those below them.
    use_esld = "false" if any(domain.count(".") > 1 for domain in domains) else "true"
    return _CONFIGURATION % (use_esld, "".join(blocks))


def make_key(
    directory: Path, domain: str, *, selector: str, kind: KeyType, bits: int, force: bool = False, tell: Tell = unheard
) -> Made:
    """Make a key pair, and the signing configuration if there is none; EditError says why not.

    A key of OpenDKIM's for the same domain and selector is used, unless `force` asks for a new one: its record is
    published. A new signing configuration also names the others that there are.
    """
    dkim.check(bits, selector, domain)
    with exclusive(directory, tell):
        former = of_opendkim(directory).keys
        reused = next((key for key in former if (key.domain, key.selector) == (domain, selector)), None)
        if reused and not force and kind == "ed25519":
            cause = f"{reused.record} is the record of OpenDKIM's key {reused.path}"
            raise EditError(f"cannot make a key: {cause}; choose another selector, or --force and publish a new record")
        if reused and not force:
            key = _Key.of_pem(reused)
        else:
            private, public = _rsa(bits) if kind == "rsa" else _ed25519()
            name = f"rsa-{bits}-{selector}-{domain}" if kind == "rsa" else f"ed25519-{selector}-{domain}"
            key = _Key(domain, selector, name, private, f"v=DKIM1; k={kind}; p={public}")
        present = [str(path) for path in key.files(directory) if path.exists()]
        if present and not force:
            raise EditError(f"cannot make a key: {present[0]} exists; use --force to replace it")
        signing = directory / SIGNING
        configured = signing.exists()
        others = [] if configured else [_Key.of_pem(one) for one in former if one is not reused]
        try:
            for one in (key, *others):
                one.write(directory)
            _give_away(directory, [path for one in (key, *others) for path in one.files(directory)])
            if not configured:
                signing.parent.mkdir(parents=True, exist_ok=True)
                text = configuration((one.domain, one.selector, one.installed) for one in (key, *others))
                store.replace(signing, text.encode(), new_mode=0o644, volume=directory)
        except OSError as error:
            raise EditError(f"cannot make a DKIM key: {error.filename}: {error.strerror}") from error
    brought = tuple(f"{one.selector}._domainkey.{one.domain}" for one in others)
    return Made(key.files(directory)[0], key.record, configured, reused is not None and not force, brought)


@dataclass(frozen=True)
class _Key:
    """A key as its three files hold it, which are called `name`."""

    domain: str
    selector: str
    name: str
    private: str = field(repr=False)
    record: str

    @classmethod
    def of_pem(cls, key: SigningKey) -> "_Key":
        """Return an RSA key of OpenDKIM's."""
        pem = key.pem.decode("ascii", "replace")
        size = re.search(r"\((\d+) bit", dkim.openssl("pkey", "-noout", "-text", stdin=pem))
        public = dkim.body(dkim.openssl("pkey", "-pubout", stdin=pem))
        name = f"rsa-{size[1] if size else 0}-{key.selector}-{key.domain}"
        return cls(key.domain, key.selector, name, pem, f"v=DKIM1; k=rsa; p={public}")

    @property
    def installed(self) -> str:
        return f"{INSTALLED}/{self.name}.private.txt"

    def files(self, directory: Path) -> list[Path]:
        """Return the private key, its record in zone file form, and the text of the record."""
        return [directory / DIRECTORY / f"{self.name}.{part}.txt" for part in ("private", "public", "public.dns")]

    def write(self, directory: Path) -> None:
        private, zone, text = self.files(directory)
        private.parent.mkdir(parents=True, exist_ok=True)
        store.replace(zone, _zone(self.selector, self.record).encode(), new_mode=0o644, volume=directory)
        store.replace(text, f"{self.record}\n".encode(), new_mode=0o644, volume=directory)
        store.replace(private, self.private.encode(), new_mode=0o600, volume=directory)


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


def _give_away(directory: Path, files: list[Path]) -> None:
    """Give keys to Rspamd where it and the right to do so exist; each start of the container does it again."""
    root = str(directory / DIRECTORY)
    with suppress(KeyError, PermissionError), opened(root, owner_of(str(directory))) as keys:
        user = pwd.getpwnam(USER)
        for name in (".", *(path.name for path in files)):
            keys.own(name, user.pw_uid, user.pw_gid)
