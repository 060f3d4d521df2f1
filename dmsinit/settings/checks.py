"""Rules between variables: what overrules what, and which combinations a user should hear about."""

from collections.abc import Iterator, Mapping
from typing import Final

from dmsinit.problem import Problem, Severe
from dmsinit.settings.model import Settings

_GIB: Final = 2**30
_CLAMAV_LARGEST: Final = 4000 * 10**6
"""Bytes: ClamAV takes larger limits for 4 GB, its own maximum (clamd.conf(5), MaxScanSize)."""


class Rule:
    """A variable that other variables decide, whatever it is set to; `expected`: nobody needs to be warned."""

    def __init__(self, name: str, text: str, reason: str, *, expected: bool = False) -> None:
        self.name = name
        self.text = text
        self.reason = reason
        self.expected = expected


def overrule(texts: Mapping[str, str]) -> Iterator[Rule]:
    """Yield the rules that hold for effective texts."""
    if texts["ENABLE_AMAVIS"] != "1" and texts["ENABLE_SPAMASSASSIN"] == "1":
        yield Rule("ENABLE_SPAMASSASSIN", "0", "SpamAssassin runs inside Amavis, and ENABLE_AMAVIS is 0")
    if texts["ACCOUNT_PROVISIONER"] != "FILE":
        yield Rule("ENABLE_QUOTAS", "0", "quotas need ACCOUNT_PROVISIONER=FILE", expected=True)
    elif texts["SMTP_ONLY"] == "1":
        yield Rule("ENABLE_QUOTAS", "0", "without Dovecot (SMTP_ONLY=1) there are no quotas", expected=True)


class Findings:
    """What the checks found; see Loaded for how each list is used."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.notes: list[str] = []

    def problem(self, where: str, cause: str, remedy: str) -> None:
        self.problems.append(Problem(where, cause, remedy))

    def warn(self, where: str, cause: str, remedy: str) -> None:
        self.warnings.append(Problem(where, cause, remedy))


def check(settings: Settings, sources: Mapping[str, str]) -> Findings:
    """Return everything that is questionable about settings that can each be read."""
    found = Findings()
    _provisioner(settings, found)
    _certificates(settings, found)
    _relaying(settings, found)
    _sizes(settings, found)
    _filters(settings, found)
    _rspamd(settings, found)
    _spam_delivery(settings, found)
    _reports(settings, sources, found)
    return found


def _provisioner(settings: Settings, found: Findings) -> None:
    if settings.account_provisioner == "OIDC":
        found.problem("ACCOUNT_PROVISIONER", "OIDC is not implemented", "write ACCOUNT_PROVISIONER=FILE or LDAP")
    hosts = []
    if settings.account_provisioner == "LDAP":
        hosts += [("LDAP_SERVER_HOST", settings.ldap_server_host), ("DOVECOT_URIS", " ".join(settings.dovecot_uris))]
        if settings.enable_saslauthd:
            hosts.append(("SASLAUTHD_LDAP_SERVER", settings.saslauthd_ldap_server))
    told: set[str] = set()
    for name, text in hosts:
        lacking = [word for word in text.split() if "://" not in word]
        if lacking and text not in told:
            remedy = f"write {name}=ldap://{lacking[0]} or ldaps://{lacking[0]}"
            found.warnings.append(Severe(name, f"{lacking[0]!r} has no scheme", remedy))
        told.add(text)
    if settings.enable_oauth2 and not settings.oauth2_introspection_url:
        found.warn("OAUTH2_INTROSPECTION_URL", "is empty, so no token can be checked", "write the URL of the provider")


def _certificates(settings: Settings, found: Findings) -> None:
    if settings.ssl_type != "manual":
        return
    pair = {"SSL_CERT_PATH": settings.ssl_cert_path, "SSL_KEY_PATH": settings.ssl_key_path}
    for name in (name for name, path in pair.items() if not path):
        found.problem(name, "is empty, but SSL_TYPE=manual needs it", f"write {name}=/path/in/the/container")


def _relaying(settings: Settings, found: Findings) -> None:
    user, password = bool(settings.relay_user), bool(settings.relay_password)
    if user != password:
        lacking = "RELAY_PASSWORD" if user else "RELAY_USER"
        found.warn(lacking, "is empty, so the relay gets no credentials", "set both RELAY_USER and RELAY_PASSWORD")
    elif user and not (settings.relay_host or settings.default_relay_host):
        found.warn("RELAY_USER", "has no effect without a relay", "set DEFAULT_RELAY_HOST or RELAY_HOST")


def _sizes(settings: Settings, found: Findings) -> None:
    mailbox, message = settings.postfix_mailbox_size_limit, settings.postfix_message_size_limit
    if mailbox and (message == 0 or message > mailbox):
        found.warn(
            "POSTFIX_MAILBOX_SIZE_LIMIT",
            "is smaller than POSTFIX_MESSAGE_SIZE_LIMIT, which Postfix's own delivery agents refuse",
            "write a larger one, or 0 for no limit",
        )
    if not settings.enable_clamav:
        return
    size = settings.clamav_message_size_limit
    if size.si_bytes > _CLAMAV_LARGEST:
        found.warn("CLAMAV_MESSAGE_SIZE_LIMIT", f"{size} is more than ClamAV can scan", "write 4000M or less")
    elif size.binary_bytes >= 2 * _GIB:
        found.warn("CLAMAV_MESSAGE_SIZE_LIMIT", f"{size}: ClamAV scans no file of 2 GiB or more", "write 2000M or less")


def _filters(settings: Settings, found: Findings) -> None:
    if settings.enable_clamav and not (settings.enable_amavis or settings.enable_rspamd):
        found.warn(
            "ENABLE_CLAMAV", "nothing passes mail to ClamAV: Amavis and Rspamd are off",
            "set ENABLE_AMAVIS=1 or ENABLE_RSPAMD=1, or ENABLE_CLAMAV=0",
        )  # fmt: skip


def _rspamd(settings: Settings, found: Findings) -> None:
    if not settings.enable_rspamd:
        return
    doubled = {
        "ENABLE_AMAVIS": settings.enable_amavis,
        "ENABLE_OPENDKIM": settings.enable_opendkim,
        "ENABLE_OPENDMARC": settings.enable_opendmarc,
        "ENABLE_POLICYD_SPF": settings.enable_policyd_spf,
    }
    for name in (name for name, on in doubled.items() if on):
        found.warn(name, "Rspamd does the same, and both running is discouraged", f"write {name}=0")
    if settings.enable_postgrey and settings.rspamd_greylisting:
        found.warn(
            "ENABLE_POSTGREY", "Rspamd greylists too (RSPAMD_GREYLISTING=1), and both running is discouraged",
            "write ENABLE_POSTGREY=0",
        )  # fmt: skip
    if settings.rspamd_neural:
        found.warn("RSPAMD_NEURAL", "the neural network module is experimental", "write RSPAMD_NEURAL=0 if in doubt")


def _spam_delivery(settings: Settings, found: Findings) -> None:
    if settings.smtp_only:
        return
    if not settings.move_spam_to_junk and not settings.spam_subject:
        found.warn(
            "MOVE_SPAM_TO_JUNK", "spam reaches the inbox, and SPAM_SUBJECT, which would mark it there, is empty",
            "write MOVE_SPAM_TO_JUNK=1 or set SPAM_SUBJECT",
        )  # fmt: skip
    pointless = {"MOVE_SPAM_TO_JUNK": settings.move_spam_to_junk, "MARK_SPAM_AS_READ": settings.mark_spam_as_read}
    names = [name for name, on in pointless.items() if on]
    if names and settings.enable_spamassassin and not settings.spamassassin_spam_to_inbox:
        found.warn(
            " and ".join(names), "SPAMASSASSIN_SPAM_TO_INBOX=0 refuses the worst spam, which then is in no folder",
            "write SPAMASSASSIN_SPAM_TO_INBOX=1",
        )  # fmt: skip


def _reports(settings: Settings, sources: Mapping[str, str], found: Findings) -> None:
    if settings.report_recipient in ("0", "1"):
        found.warn(
            "REPORT_RECIPIENT", f"{settings.report_recipient!r} is taken as an address", "write an address or remove it"
        )
    if settings.enable_update_check and settings.dms_release == "edge":
        text = "no check for newer releases: this image is not a release"
        if sources["ENABLE_UPDATE_CHECK"] == "default":
            found.notes.append(text)
        else:
            found.warn("ENABLE_UPDATE_CHECK", text, "write ENABLE_UPDATE_CHECK=0")
