"""The check of what doveconf(1) takes and Dovecot's daemons do not: plugins, mechanisms, users, sockets of Postfix.

All of it reads the output of `doveconf -n`: whatever file or form a user has chosen, it looks the same there.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from dmsinit.base import ciphers
from dmsinit.render.paths import Root

MODULES: Final = "/usr/lib/dovecot/modules"
AUTH: Final = "/usr/lib/dovecot/auth"
"""The program of the service `auth`, which holds the names of all mechanisms."""
BASE: Final = "/run/dovecot"
_OPENS: Final = re.compile(r"(\S+)(?: (?!=)(.*?))? ?\{")
_DIRECTORY: Final = re.compile(r"^(mail|login)_plugin_dir = (\S+)", re.MULTILINE)
_PLUGINS: Final = {"mail_plugins": "mail", "login_plugins": "login"}
_OFF: Final = ("no", "n", "0", "false", "")
_SOCKET: Final = re.compile(r"(?<![\w/.])(?:unix:)?((?:/var)?/run/dovecot/[^\s,;{}]+)")
_PORT: Final = re.compile(r"inet:(?:localhost|127\.0\.0\.1|\[::1\]):(\d+)")
_VERSION: Final = re.compile(r"ANY|LATEST|SSLv3|TLSv1(?:\.[123])?")
_OWN_PORT: Final = re.compile(rb"^\s*port = (\d+)", re.MULTILINE)
_SASL_PATH: Final = "smtpd_sasl_path"


class Setting(NamedTuple):
    """One line `name = value`, and the blocks around it from the outside: ("service", "auth"), …"""

    blocks: tuple[tuple[str, str], ...]
    name: str
    value: str


def settings(configuration: str) -> Iterator[Setting]:
    """Yield what the output of `doveconf -n` sets; a block is one with the name "" too, for one that sets nothing."""
    blocks: list[tuple[str, str]] = []
    for line in map(str.strip, configuration.splitlines()):
        if opens := _OPENS.fullmatch(line):
            blocks.append((opens.group(1), (opens.group(2) or "").strip('"')))
            yield Setting(tuple(blocks), "", "")
        elif line == "}":
            blocks[-1:] = []
        elif not line.startswith("#") and " =" in line:
            name, _, value = line.partition(" =")
            yield Setting(tuple(blocks), name.strip('"'), value.strip())


def missing_plugins(configuration: str, root: Root) -> list[tuple[str, str]]:
    """Return plugins that the output of `doveconf -n` switches on and that do not exist, and where they should be."""
    places = {"mail": MODULES, "login": f"{MODULES}/login", **dict(_DIRECTORY.findall(configuration))}
    present = {
        kind: {re.sub(r"^(?:lib\d*_)?|_plugin\.so$", "", name) for name in root.listing(place)}
        for kind, place in places.items()
    }
    wanted = dict.fromkeys(_wanted(configuration))
    return [(name, places[kind]) for kind, name in wanted if name.replace("-", "_") not in present[kind]]


def _wanted(configuration: str) -> Iterator[tuple[str, str]]:
    """Yield the kind and name of each plugin that is switched on, for all or for some sessions."""
    for blocks, name, value in settings(configuration):
        inside = _PLUGINS.get(blocks[-1][0]) if blocks else None
        if name in _PLUGINS:
            yield from ((_PLUGINS[name], plugin) for plugin in re.split(r"[\s,]+", value) if plugin)
        elif inside and name and value.lower() not in _OFF:
            yield inside, name


def unusable(configuration: str, root: Root) -> list[str]:
    """Return what Dovecot's daemons would end with, the culprit in quotes: mechanisms, users and groups."""
    found = [*_unknown_mechanisms(configuration, root), *_unknown_owners(configuration, root), *_tls(configuration)]
    return list(dict.fromkeys(found))


def _unknown_mechanisms(configuration: str, root: Root) -> Iterator[str]:
    program = (root.read(AUTH) or b"").upper()
    modules = {name.removeprefix("libmech_").removesuffix(".so") for name in root.listing(f"{MODULES}/auth")}
    for blocks, name, value in settings(configuration):
        mechanisms = value.split() if name == "auth_mechanisms" else []
        if blocks and blocks[-1][0] == "auth_mechanisms" and value.lower() not in _OFF:
            mechanisms = [name]
        for mechanism in mechanisms:
            known = f"\0{mechanism.upper()}\0".encode("utf-8", "replace") in program
            if program and not known and mechanism.lower().replace("-", "_") not in modules:
                yield f"unknown authentication mechanism '{mechanism}', so logins would fail"


def _unknown_owners(configuration: str, root: Root) -> Iterator[str]:
    look_up = {"user": root.uid, "group": root.gid}
    for blocks, name, value in settings(configuration):
        inside = blocks[-1][0] if blocks else ""
        if inside not in ("service", "unix_listener", "fifo_listener") or name not in look_up:
            continue
        if value and not value.isdigit() and not value.startswith(("$", "%")) and look_up[name](value) is None:
            yield f"{name} '{value}' of {' '.join(blocks[-1])} does not exist, so Dovecot would not start"


def _tls(configuration: str) -> Iterator[str]:
    for _, name, value in settings(configuration):
        if name in ("ssl_cipher_list", "cipher_list") and ciphers.problem(value):
            yield f"OpenSSL knows no cipher of '{value}', so TLS would not work"
        if name in ("ssl_min_protocol", "min_protocol") and not _VERSION.fullmatch(value):
            yield f"'{value}' is not a version of TLS that Dovecot knows, so TLS would not work"


def unheard(configuration: str, postfix: Mapping[str, str], ports: Iterable[int]) -> list[tuple[str, str]]:
    """Return sockets at which Postfix expects Dovecot and that Dovecot does not open, and the parameters that say so.

    `postfix` has the values of main.cf; `ports` are those that Dovecot opens when no user has a hand in it.
    """
    opened = set(_opened(configuration))
    expected: dict[str, str] = {}
    for name, value in postfix.items():
        sockets = [_shortest(path) for path in _SOCKET.findall(value)]
        sockets += [f"port {port}" for port in _PORT.findall(value) if int(port) in ports]
        if name == _SASL_PATH and value.startswith("/") and postfix.get("smtpd_sasl_type", "dovecot") == "dovecot":
            sockets.append(_shortest(value))
        expected |= {socket: name for socket in sockets if socket not in expected}
    return [(socket, name) for socket, name in expected.items() if socket not in opened]


def sentences(configuration: str, postfix: Mapping[str, str], texts: Iterable[bytes], root: Root) -> list[str]:
    """Return all that is wrong, in words that put the culprit in quotes; `texts` are the files that Dovecot reads."""
    found = [
        f"Plugin '{name}' not found from directory {place}, so no session could start"
        for name, place in missing_plugins(configuration, root)
    ]
    ports = {int(port) for text in texts for port in _OWN_PORT.findall(text)}
    found += [
        f"Dovecot does not listen at '{socket}', where {name} of Postfix expects it, so mail would be deferred"
        for socket, name in unheard(configuration, postfix, ports)
    ]
    return [*found, *unusable(configuration, root)]


def _opened(configuration: str) -> Iterator[str]:
    """Yield the paths of Unix sockets (`/run/…`) and `port N` that Dovecot opens."""
    entries = list(settings(configuration))
    base = next((value for blocks, name, value in entries if not blocks and name == "base_dir"), BASE)
    protocols = {name for blocks, name, value in entries if _is_protocol(blocks) and value.lower() not in _OFF}
    protocols |= {
        word for blocks, name, value in entries if not blocks and name == "protocols" for word in value.split()
    }
    listeners: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    for blocks, name, value in entries:
        if len(blocks) == 2 and blocks[0][0] == "service" and blocks[1][0] in ("unix_listener", "inet_listener"):
            listeners.setdefault(blocks, {})[name] = value
    for ((_, service), (kind, name)), values in listeners.items():
        if service in ("lmtp", "pop3-login", "managesieve-login") and _protocol_of(service) not in protocols:
            continue
        if kind == "inet_listener":
            yield f"port {values.get('port', '0')}"
        elif values.get("mode") not in ("0", "00", "0000"):
            path = values.get("path", name)
            yield _shortest(path if path.startswith("/") else f"{base}/{path}")


def _is_protocol(blocks: tuple[tuple[str, str], ...]) -> bool:
    return [kind for kind, _ in blocks] == ["protocols"]


def _protocol_of(service: str) -> str:
    return {"managesieve-login": "sieve"}.get(service, service.removesuffix("-login"))


def _shortest(path: str) -> str:
    """Return the path without the link /var/run."""
    return path.removeprefix("/var") if path.startswith("/var/run/") else path
