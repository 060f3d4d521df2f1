"""`setup relay …`: through which server mail of a domain leaves, and with which credentials."""

from dmsinit.cli.setup.domains import hosted_domains
from dmsinit.cli.setup.session import Session
from dmsinit.cli.setup.verb import Verb
from dmsinit.volume import edit_tables

SMTP_PORT = "25"


def add_auth(session: Session, arguments: list[str]) -> int:
    domain, user = arguments[:2]
    password = arguments[2] if len(arguments) > 2 else session.ask_password("password of the relay")
    edit_tables.set_relay_credentials(session.config, domain, user, password, session.log.info)
    return _done(session, domain)


def add_domain(session: Session, arguments: list[str]) -> int:
    domain, host, port = (*arguments, SMTP_PORT)[:3]
    edit_tables.set_relay(session.config, domain, host, port, session.log.info)
    return _done(session, domain)


def exclude_domain(session: Session, arguments: list[str]) -> int:
    edit_tables.exclude_from_relay(session.config, arguments[0], session.log.info)
    return _done(session, arguments[0])


def _done(session: Session, domain: str) -> int:
    """Have it take effect; a domain that is not one of the accounts' may be meant, or mistyped."""
    name, ours = domain.removeprefix("@").lower(), hosted_domains(session)
    if ours and name not in ours and session.setting("ACCOUNT_PROVISIONER", "FILE") == "FILE":
        session.log.warn(f"no account or alias is in {name}; `setup email list` shows the accounts")
    session.take_effect()
    return 0


VERBS = (
    Verb(
        ("relay", "add-auth"),
        "DOMAIN USER [PASSWORD]",
        "set user and password for the relay of a domain",
        add_auth,
        2,
        3,
        description="Without PASSWORD you are asked for it twice, and it is not shown.",
        examples=("setup relay add-auth hill.test relayuser",),
        edits=True,
    ),
    Verb(
        ("relay", "add-domain"),
        "DOMAIN HOST [PORT]",
        "send mail of a domain through a relay",
        add_domain,
        2,
        3,
        description="PORT is 25 unless given.",
        examples=("setup relay add-domain hill.test smtp.relay.test 587",),
        edits=True,
    ),
    Verb(
        ("relay", "exclude-domain"),
        "DOMAIN",
        "send mail of a domain directly, whatever RELAY_HOST says",
        exclude_domain,
        1,
        1,
        examples=("setup relay exclude-domain hill.test",),
        edits=True,
    ),
)
