"""The server's certificate: which one SSL_TYPE chooses, where daemons find it, and whether it can be used.

Choosing looks at names only; `copies` says what is staged under /etc/dms/tls, `pairs` what is to be checked.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from dmsinit.problem import Problem
from dmsinit.render.paths import STATE, VOLUME, Root
from dmsinit.settings import Settings

DIRECTORY: Final = "/etc/dms/tls"
LETSENCRYPT: Final = "/etc/letsencrypt/live"
SNAKEOIL_KEY: Final = "/etc/ssl/private/ssl-cert-snakeoil.key"
SNAKEOIL_CERT: Final = "/etc/ssl/certs/ssl-cert-snakeoil.pem"


@dataclass(frozen=True)
class Tls:
    """What templates see: paths ("" when absent); `required`: no login without TLS."""

    kind: str
    cert: str = ""
    key: str = ""
    alt_cert: str = ""
    alt_key: str = ""
    ca_file: str = ""
    required: bool = True

    @property
    def chain_files(self) -> list[str]:
        """The files for Postfix's smtpd_tls_chain_files: each key before its chain, one file once."""
        return list(dict.fromkeys(path for path in (self.key, self.cert, self.alt_key, self.alt_cert) if path))


@dataclass(frozen=True)
class Copy:
    """A file of the user's that is staged under /etc/dms/tls, so that daemons see it change only by an apply."""

    source: str
    target: str
    mode: int


@dataclass(frozen=True)
class Pair:
    """A key and its certificate chain to be checked; `where` is what a person looks at."""

    where: str
    cert: str
    key: str


@dataclass
class Choice:
    """The chosen certificate and what is left to do: `make` (FQDN's certificate is to be made), copies, checks."""

    tls: Tls
    copies: list[Copy] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    make: bool = False
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    @property
    def files(self) -> list[str]:
        """The certificates that clients see, where a person keeps them: not our copies."""
        return list(dict.fromkeys(pair.cert for pair in self.pairs)) or [self.tls.cert]

    def require(self, root: Root, where: str, paths: list[str], remedy: str) -> bool:
        """Report all missing files of `paths` at once; return whether none is missing."""
        missing = [path for path in paths if root.read_size(path) is None]
        if missing:
            self.problems.append(Problem(where, f"{_listed(missing)} not found", remedy))
        return not missing


def choose(settings: Settings, fqdn: str, domain: str, root: Root, *, extracted: str = "") -> Choice:
    """Return the certificate for SSL_TYPE, with all problems in `problems`; unknown types are the settings' concern.

    `extracted`: the name below live/ of a valid certificate out of Traefik's store. It comes before others that are
    there: those may be what was extracted earlier for a name whose certificate is out of date now.
    """
    if settings.ssl_type == "letsencrypt":
        return _letsencrypt(settings, fqdn, domain, root, extracted)
    makers: dict[str, Callable[[Settings, str, str, Root], Choice]] = {
        "": _made,
        "manual": _manual,
        "self-signed": _self_signed,
        "custom": _custom,
        "snakeoil": _snakeoil,
    }
    return makers.get(settings.ssl_type, _made)(settings, fqdn, domain, root)


def sources(settings: Settings, fqdn: str, domain: str) -> tuple[str, ...]:
    """Return the files and directories that a user's certificates come from, whether they exist or not."""
    if settings.ssl_type == "manual":
        given = (settings.ssl_cert_path, settings.ssl_key_path, settings.ssl_alt_cert_path, settings.ssl_alt_key_path)
        return tuple(path for path in given if path)
    if settings.ssl_type in ("custom", "self-signed"):
        return (f"{VOLUME}/ssl", f"{VOLUME}/ssl/demoCA")
    if settings.ssl_type == "letsencrypt":
        live = [f"{LETSENCRYPT}/{name}" for name in _live_names(settings, fqdn, domain)]
        return ("/etc/letsencrypt/acme.json", *live)
    return ()


def _live_names(settings: Settings, fqdn: str, domain: str) -> list[str]:
    return list(dict.fromkeys(name for name in (settings.ssl_domain.removeprefix("*."), fqdn, domain) if name))


def made_paths(fqdn: str, root: Root) -> tuple[str, str]:
    """Return where the certificate and key that the server makes for itself are kept: with the state, if mounted."""
    directory = f"{STATE}/dmsinit/tls" if root.exists(STATE) else DIRECTORY
    return f"{directory}/{fqdn}-made-cert.pem", f"{directory}/{fqdn}-made-key.pem"


def _made(settings: Settings, fqdn: str, domain: str, root: Root) -> Choice:
    cert, key = made_paths(fqdn, root)
    choice = Choice(Tls("made", cert, key, required=False), make=not (root.exists(cert) and root.exists(key)))
    cause = (
        f"is empty: TLS is offered with a certificate that the server made for {fqdn}, which no client can verify, "
        "and passwords are accepted without TLS"
    )
    choice.warnings.append(Problem("SSL_TYPE", cause, "set SSL_TYPE=letsencrypt or manual"))
    return choice


def _manual(settings: Settings, fqdn: str, domain: str, root: Root) -> Choice:
    cert, key = settings.ssl_cert_path, settings.ssl_key_path
    tls = Tls("manual", f"{DIRECTORY}/cert", f"{DIRECTORY}/key")
    unset = [name for name, value in (("SSL_CERT_PATH", cert), ("SSL_KEY_PATH", key)) if not value]
    if unset:
        remedy = "set it to the path of the file inside the container"
        return Choice(tls, problems=[Problem(name, "is empty, but SSL_TYPE=manual needs it", remedy) for name in unset])
    choice = Choice(tls)
    remedy = "mount the files into the container, or correct SSL_CERT_PATH and SSL_KEY_PATH"
    if choice.require(root, "SSL_TYPE=manual", [cert, key], remedy):
        choice.copies += [Copy(key, tls.key, 0o600), Copy(cert, tls.cert, 0o644)]
        choice.pairs.append(Pair("SSL_CERT_PATH", cert, key))
    alt_cert, alt_key = settings.ssl_alt_cert_path, settings.ssl_alt_key_path
    if bool(alt_cert) != bool(alt_key):
        name, other = ("SSL_ALT_KEY_PATH", "SSL_ALT_CERT_PATH")[:: 1 if alt_cert else -1]
        choice.problems.append(Problem(name, f"is empty, but {other} is set", "set both, or none"))
    elif alt_cert and choice.require(root, "SSL_TYPE=manual", [alt_cert, alt_key], remedy.replace("SSL_", "SSL_ALT_")):
        fallback = Tls("manual", tls.cert, tls.key, f"{DIRECTORY}/fallback_cert", f"{DIRECTORY}/fallback_key")
        choice.tls = fallback
        choice.copies += [Copy(alt_key, fallback.alt_key, 0o600), Copy(alt_cert, fallback.alt_cert, 0o644)]
        choice.pairs.append(Pair("SSL_ALT_CERT_PATH", alt_cert, alt_key))
    return choice


def _self_signed(settings: Settings, fqdn: str, domain: str, root: Root) -> Choice:
    names = {"key": f"{fqdn}-key.pem", "cert": f"{fqdn}-cert.pem"}
    source = f"{VOLUME}/ssl"
    authority = f"{DIRECTORY}/cacert.pem"
    tls = Tls("self-signed", f"{DIRECTORY}/{names['cert']}", f"{DIRECTORY}/{names['key']}", ca_file=authority)
    choice = Choice(tls, links={f"/etc/ssl/certs/cacert-{fqdn}.pem": authority})
    key, cert, ca = f"{source}/{names['key']}", f"{source}/{names['cert']}", f"{source}/demoCA/cacert.pem"
    remedy = "put them there; their names begin with the server's full name"
    if choice.require(root, "SSL_TYPE=self-signed", [key, cert, ca], remedy):
        choice.copies = [Copy(key, tls.key, 0o600), Copy(cert, tls.cert, 0o644), Copy(ca, authority, 0o644)]
        choice.pairs.append(Pair(cert, cert, key))
    return choice


def _custom(settings: Settings, fqdn: str, domain: str, root: Root) -> Choice:
    source, target = f"{VOLUME}/ssl/{fqdn}-full.pem", f"{DIRECTORY}/{fqdn}-full.pem"
    choice = Choice(Tls("custom", target, target))
    remedy = "put one file there that holds the private key and then the certificate chain"
    if choice.require(root, "SSL_TYPE=custom", [source], remedy):
        choice.copies = [Copy(source, target, 0o600)]
        choice.pairs.append(Pair(source, source, source))
    return choice


def _snakeoil(settings: Settings, fqdn: str, domain: str, root: Root) -> Choice:
    # The image has no such pair: everybody would have its key. Each container makes its own.
    made = root.exists(SNAKEOIL_CERT) and root.exists(SNAKEOIL_KEY)
    choice = Choice(Tls("snakeoil", SNAKEOIL_CERT, SNAKEOIL_KEY), make=not made)
    cause = "uses a throw-away certificate, which no client can verify"
    choice.warnings.append(Problem("SSL_TYPE=snakeoil", cause, "set SSL_TYPE=letsencrypt or manual"))
    return choice


def _letsencrypt(settings: Settings, fqdn: str, domain: str, root: Root, extracted: str) -> Choice:
    names = list(dict.fromkeys(filter(None, (extracted, *_live_names(settings, fqdn, domain)))))
    found = [name for name in names if root.read_size(f"{LETSENCRYPT}/{name}/fullchain.pem") is not None]
    directory = f"{LETSENCRYPT}/{(found or names)[0]}"
    keys = [f"{directory}/{name}.pem" for name in ("privkey", "key")]
    if found[:1] == [extracted]:
        keys.reverse()  # key.pem is what was extracted
    key = next((path for path in keys if root.read_size(path) is not None), keys[0])
    choice = Choice(Tls("letsencrypt", f"{directory}/fullchain.pem", key))
    if not found:
        cause = f"none of {_listed([f'{LETSENCRYPT}/{name}/fullchain.pem' for name in names])} found"
        remedy = "let the ACME client make a certificate for one of these names and mount /etc/letsencrypt as a whole"
        choice.problems.append(Problem("SSL_TYPE=letsencrypt", cause, remedy))
    elif choice.require(root, "SSL_TYPE=letsencrypt", [key], "mount /etc/letsencrypt as a whole, archive/ included"):
        choice.pairs.append(Pair(choice.tls.cert, choice.tls.cert, key))
    return choice


def _listed(paths: list[str]) -> str:
    return ", ".join(paths)
