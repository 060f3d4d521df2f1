"""`setup config dkim`: keys to sign outgoing mail with."""

from dmsinit.cli.setup import dkim_rspamd
from dmsinit.cli.setup.domains import hosted_domains
from dmsinit.cli.setup.session import Refused, Session
from dmsinit.cli.setup.verb import Verb
from dmsinit.volume import dkim

DEFAULTS = {"keysize": "2048", "selector": "mail", "domain": ""}


def config_dkim(session: Session, arguments: list[str]) -> int:
    if session.setting("ENABLE_RSPAMD", "0") == "1":
        if session.setting("ENABLE_OPENDKIM", "1") != "1":
            return dkim_rspamd.config_dkim(session, arguments)
        session.log.warn("OpenDKIM and Rspamd are both on; the keys are for OpenDKIM")
    for flag in (word for word in arguments if word in dkim_rspamd.LEVELS):
        session.log.set_level(dkim_rspamd.LEVELS[flag])
    options = _options([word for word in arguments if word not in dkim_rspamd.LEVELS])
    if not options["keysize"].isascii() or not options["keysize"].isdigit():
        raise Refused(f"keysize {options['keysize']} is not a number of bits; write for example 2048")
    domains = tuple(name for name in options["domain"].split(",") if name) or hosted_domains(session)
    if not domains:
        session.log.warn("cannot make a key: no domain found; add an account or name one: domain hill.test")
        return 0
    dkim.make_keys(
        session.config,
        domains,
        selector=options["selector"],
        bits=int(options["keysize"]),
        created=session.log.info,
        tell=session.log.info,
    )
    session.take_effect()
    return 0


def _options(arguments: list[str]) -> dict[str, str]:
    options = dict(DEFAULTS)
    pairs = iter(arguments)
    for keyword in pairs:
        if keyword not in options:
            print(VERBS[0].manual(), end="")
            raise Refused(f"unknown option {keyword}")
        value = next(pairs, "")
        if not value:
            raise Refused(f"{keyword} needs a value")
        options[keyword] = value
    return options


VERBS = (
    Verb(
        ("config", "dkim"),
        "[keytype T] [keysize N] [selector S] [domain D1,D2]",
        "make DKIM keys",
        config_dkim,
        maximum=None,
        options=(("-f, --force", "Rspamd: replace an existing key"), ("-v, -vv", "say more")),
        description="For OpenDKIM (ENABLE_OPENDKIM=1), without `domain`: for the domains of all accounts and aliases.\n"
        "Existing keys are kept. Publish the .txt file beside each key in the DNS, so that others can verify it.\n"
        "For Rspamd (ENABLE_RSPAMD=1, ENABLE_OPENDKIM=0): one key for one domain, by default that of the host;\n"
        "keytype is rsa or ed25519. The first key is used at once; name others in\n"
        "rspamd/override.d/dkim_signing.conf.",
        examples=("setup config dkim", "setup config dkim keysize 2048 selector mail domain hill.test"),
        edits=True,
    ),
)
