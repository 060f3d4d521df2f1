"""`setup config dkim` where Rspamd signs: one key for one domain a call."""

import socket
from typing import Final

from dmsinit.cli.setup.session import Refused, Session
from dmsinit.volume import rspamd_dkim

DEFAULTS: Final = {"keytype": "rsa", "keysize": "2048", "selector": "mail", "domain": ""}
_FORCE: Final = ("-f", "--force")
LEVELS: Final = {"-v": "debug", "-vv": "trace"}


def config_dkim(session: Session, arguments: list[str]) -> int:
    """Make a key, print the text that belongs into the DNS, and say what is left to do."""
    options, force = _options(session, arguments)
    kind = options["keytype"]
    if kind not in ("rsa", "ed25519"):
        raise Refused(f"keytype {kind} is not known; write rsa or ed25519")
    size = options["keysize"]
    if not size.isascii() or not size.isdigit():
        raise Refused(f"keysize {size} is not a number of bits; write for example 2048")
    if kind == "ed25519" and size != DEFAULTS["keysize"]:
        raise Refused("an ed25519 key has no size; leave keysize away")
    domain = options["domain"] or _own_domain(session)
    made = rspamd_dkim.make_key(
        session.config, domain, selector=options["selector"], kind="rsa" if kind == "rsa" else "ed25519",
        bits=int(size), force=force, tell=session.log.info,
    )  # fmt: skip
    session.log.info(f"created {made.private}")
    record = f"{options['selector']}._domainkey.{domain}"
    if made.reused:
        session.log.info(f"it is the key with which OpenDKIM signed, so that the published record {record} stays:")
    else:
        session.log.info(f"publish this text as TXT record of {record}:")
    print(made.record)
    configuration = session.config / rspamd_dkim.SIGNING
    if made.configured_before:
        session.log.info(f"{configuration} exists and stays as it is; it has to name the key for {domain}")
    else:
        session.log.info(f"created {configuration}: mail from {domain} is signed with this key")
        for other in made.brought:
            session.log.info(f"OpenDKIM's key {other} was brought over, and goes on signing")
    if not rspamd_dkim.readable_by_rspamd(made.private):
        session.log.warn(f"{rspamd_dkim.USER} cannot read {made.private}; restart the container, which corrects that")
    session.take_effect()
    return 0


def _options(session: Session, arguments: list[str]) -> tuple[dict[str, str], bool]:
    options, force = dict(DEFAULTS), False
    words = iter(arguments)
    for word in words:
        if word in _FORCE:
            force = True
        elif word in LEVELS:
            session.log.set_level(LEVELS[word])
        elif word not in options:
            raise Refused(f"unknown option {word}; the options are {', '.join((*options, '--force', *LEVELS))}")
        else:
            options[word] = next(words, "")
            if not options[word]:
                raise Refused(f"{word} needs a value")
    return options, force


def _own_domain(session: Session) -> str:
    host = session.setting("OVERRIDE_HOSTNAME", "") or socket.getfqdn()
    return host.partition(".")[2] or host
