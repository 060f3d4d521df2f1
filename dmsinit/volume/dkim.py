"""DKIM keys and tables for OpenDKIM in the config volume: opendkim/{KeyTable,SigningTable,TrustedHosts,keys/…}.

openssl makes the keys; the `.txt` beside each is the DNS record in zone file form (RFC 6376, section 3.6.1), as
opendkim-genkey(8) writes it. What exists is never overwritten.
"""

import re
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

from dmsinit.base import trees
from dmsinit.base.beneath import opened, owner_of
from dmsinit.volume import store
from dmsinit.volume.document import Document
from dmsinit.volume.errors import EditError
from dmsinit.volume.lock import Tell, exclusive, unheard
from dmsinit.volume.parse import split_key
from dmsinit.volume.signing import SigningKey, of_rspamd

DIRECTORY: Final = "opendkim"
INSTALLED: Final = "/etc/opendkim/keys"
"""Where OpenDKIM finds the keys once the directory is installed."""

MIN_BITS: Final = 1024  # RFC 8301: signers must use at least that
MAX_BITS: Final = 8192
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_CHUNK: Final = 250  # a character-string in DNS holds at most 255 bytes
_TRUSTED: Final = ("127.0.0.1", "localhost")


def make_keys(
    directory: Path,
    domains: tuple[str, ...],
    *,
    selector: str,
    bits: int,
    created: Tell = unheard,
    tell: Tell = unheard,
) -> None:
    """Make a key pair and table entries for each domain that lacks them; `created` hears of each new key file.

    A key of Rspamd's for the same domain and selector is used: its record is published. New tables also name the others
    that there are, in front, so that they go on signing. Raises EditError.
    """
    check(bits, selector, *domains)
    with exclusive(directory, tell):
        root = directory / DIRECTORY
        first = not (root / "KeyTable").exists()
        wanted = {f"{selector}._domainkey.{domain}" for domain in domains}
        brought = [key for key in of_rspamd(directory).keys if first or key.record in wanted]
        try:
            (root / "keys").mkdir(parents=True, exist_ok=True)
            for key in brought:
                _bring(root, key, created)
            for domain in domains:
                _make_key(root, domain, selector, bits, created)
        except OSError as error:
            raise EditError(f"cannot make DKIM keys: {error.filename}: {error.strerror}") from error
        for key in brought:
            _fill_tables(root, (key.domain,), key.selector)
        _fill_tables(root, domains, selector)
        _give_to_owner(root)


def check(bits: int, *names: str) -> None:
    """Raise EditError when a key cannot have this size, or a record cannot have these names."""
    if not MIN_BITS <= bits <= MAX_BITS:
        raise EditError(f"cannot make a key of {bits} bits; the size must be from {MIN_BITS} to {MAX_BITS}")
    for name in names:
        if not _NAME.fullmatch(name):
            raise EditError(f"cannot make a key for {name!r}: it is not a valid DNS name")


def _make_key(root: Path, domain: str, selector: str, bits: int, created: Tell) -> None:
    private = root / "keys" / domain / f"{selector}.private"
    if private.exists():
        return
    private.parent.mkdir(exist_ok=True)
    _store(private, openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}"), root)
    created(f"created {private}; publish {private.with_suffix('.txt')} in the DNS zone of {domain}")


def _bring(root: Path, key: SigningKey, created: Tell) -> None:
    private = root / "keys" / key.domain / f"{key.selector}.private"
    if private.exists():
        return
    private.parent.mkdir(exist_ok=True)
    _store(private, key.pem.decode("ascii", "replace"), root)
    created(f"created {private} from Rspamd's key; the published record {key.record} stays as it is")


def _store(private: Path, key: str, root: Path) -> None:
    """Write a key, named SELECTOR.private in a directory DOMAIN, and its record beside it."""
    text = _record(private.parent.name, private.stem, openssl("pkey", "-pubout", stdin=key)).encode()
    store.replace(private.with_suffix(".txt"), text, new_mode=0o644, volume=root)
    store.replace(private, key.encode(), new_mode=0o600, volume=root)


def openssl(*arguments: str, stdin: str = "") -> str:
    """Return what openssl(1) writes; EditError with its complaint when it fails."""
    try:
        result = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, text=True, check=False)
    except OSError as error:
        raise EditError(f"cannot make a DKIM key: openssl: {error.strerror}; install openssl") from error
    if result.returncode:
        raise EditError(f"cannot make a DKIM key: openssl {arguments[0]} failed: {result.stderr.strip()}")
    return result.stdout


def _record(domain: str, selector: str, public: str) -> str:
    text = f'{selector}._domainkey\tIN\tTXT\t( "v=DKIM1; h=sha256; k=rsa; "\n\t  {strings(f"p={body(public)}")} )'
    return f"{text}  ; ----- DKIM key {selector} for {domain}\n"


def body(pem: str) -> str:
    """Return the base64 text of a PEM file (RFC 7468) without its first and last line."""
    return "".join(line for line in pem.splitlines() if not line.startswith("-"))


def strings(text: str) -> str:
    """Return a text as character-strings of a TXT record, in zone file form (RFC 1035, section 5.1)."""
    return "\n\t  ".join(f'"{text[start : start + _CHUNK]}"' for start in range(0, len(text), _CHUNK))


def _fill_tables(root: Path, domains: tuple[str, ...], selector: str) -> None:
    keys = [f"{selector}._domainkey.{name} {name}:{selector}:{INSTALLED}/{name}/{selector}.private" for name in domains]
    _add_lines(root, "KeyTable", keys)
    _add_lines(root, "SigningTable", [f"*@{name} {selector}._domainkey.{name}" for name in domains])
    if not (root / "TrustedHosts").exists():
        _add_lines(root, "TrustedHosts", list(_TRUSTED))


def _add_lines(root: Path, name: str, lines: list[str]) -> None:
    document = Document(root, name, lambda text: split_key(text)[0])
    known = {" ".join(entry.text.split()) for entry in document.entries()}
    for line in lines:
        if line not in known:
            document.append(line)
    document.save()


def _give_to_owner(root: Path) -> None:
    owner = root.stat()
    with suppress(PermissionError), opened(str(root), owner_of(str(root))) as directory:
        trees.Owning(owner.st_uid, owner.st_gid).below(directory)
