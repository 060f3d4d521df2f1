"""Which domains the config volume makes ours."""

from dmsinit.cli.setup.session import Session
from dmsinit.volume import files, parse
from dmsinit.volume.files import Findings
from dmsinit.volume.model import Volume


def hosted_domains(session: Session) -> tuple[str, ...]:
    """Return the domains of accounts and aliases, and with LDAP that of the host; wrong lines are left out."""
    findings = Findings()
    accounts = parse.accounts(files.load(session.config, files.ACCOUNTS, findings) or [], findings)
    aliases = files.join_continued(files.load(session.config, files.ALIASES, findings) or [])
    domains = Volume(session.config, accounts=accounts, aliases=parse.aliases(aliases, findings)).domains
    if session.setting("ACCOUNT_PROVISIONER", "FILE") == "LDAP":
        import socket

        host = session.setting("OVERRIDE_HOSTNAME", "") or socket.getfqdn()
        domains = tuple(dict.fromkeys((*domains, host.partition(".")[2] or host)))
    return domains
