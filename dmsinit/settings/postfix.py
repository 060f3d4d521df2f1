"""Variables of Postfix, of relaying, and of what stands in front of it: SRS, SPF, DKIM, DMARC, MTA-STS, Postgrey."""

from typing import Final

from dmsinit.settings.field import Choice, Flag, Section, Text, Whole
from dmsinit.settings.kinds import NextHop, Protocols, RelayName, Words

_SRS: Final = "ENABLE_SRS=1"
_POSTGREY: Final = "ENABLE_POSTGREY=1"


class Postfix(Section):
    """Postfix: what it accepts and how it delivers."""

    __slots__ = ()

    smtp_only = Flag("0", "Only Postfix: no Dovecot, no accounts, no quotas.")
    spoof_protection = Flag("0", "A user may only send from the own address or an alias that leads to it.")
    postfix_dagent = Text(
        "",
        "Postfix `virtual_transport`, word for word: who delivers instead of Dovecot's LMTP.",
        example="lmtp:inet:lmtp.internal:24",
    )
    postfix_mailbox_size_limit = Whole(
        "0", "Largest mailbox, also the quota of every account; 0: no limit.", unit="bytes"
    )
    postfix_message_size_limit = Whole("10240000", "Largest message; 0: no limit.", unit="bytes")
    postfix_inet_protocols = Protocols(
        "all", ("all", "ipv4", "ipv6"), "IP versions that Postfix uses; goes to `inet_protocols`."
    )
    postfix_reject_unknown_client_hostname = Flag(
        "0", "Refuse clients whose address and name do not resolve to each other."
    )
    enable_dnsbl = Flag("0", "Ask DNS block lists about clients on port 25.")
    postscreen_action = Choice(
        "enforce", ("enforce", "drop", "ignore"), "What postscreen does with clients that fail its tests."
    )


class Relaying(Section):
    """Relaying: sending through another server."""

    __slots__ = ()

    default_relay_host = NextHop(
        "",
        "Postfix `relayhost`, word for word: `[host]:port` or `host`.",
        one_word=True,
        example="[smtp.example.net]:587",
    )
    relay_host = RelayName(
        "",
        "Server through which mail of the hosted domains leaves, unless postfix-relaymap.cf says otherwise.",
        example="smtp.example.net",
    )
    relay_port = Whole("25", "Port of RELAY_HOST.", minimum=1, maximum=65535, when="RELAY_HOST!=")
    relay_user = Text("", "User name at the relay; needs RELAY_PASSWORD.", free=True, example="apikey")
    relay_password = Text("", "Password at the relay; needs RELAY_USER.", secret=True)


class Authentication(Section):
    """Sender authentication: DKIM, DMARC, SPF, MTA-STS, SRS."""

    __slots__ = ()

    enable_opendkim = Flag("1", "Sign and verify DKIM by OpenDKIM.")
    enable_opendmarc = Flag("1", "Check DMARC by OpenDMARC.")
    enable_policyd_spf = Flag("1", "Check SPF by policyd-spf.")
    enable_mta_sts = Flag("0", "Honour MTA-STS policies (RFC 8461) of the domains that mail is sent to.")
    enable_srs = Flag("0", "Rewrite senders of forwarded mail (SRS) by PostSRSd.")
    srs_sender_classes = Words(
        "envelope_sender", "What is rewritten; goes to `sender_canonical_classes`.",
        choices=("envelope_sender", "header_sender"), when=_SRS,
    )  # fmt: skip
    srs_exclude_domains = Words(
        "",
        "Domains whose senders are not rewritten; a leading dot means subdomains only.",
        when=_SRS,
        example="example.org,.example.net",
    )
    srs_secret = Words(
        "", "Secrets that sign rewritten senders: the first signs, all verify. Empty: one is made, once.",
        when=_SRS, secret=True,
    )  # fmt: skip
    srs_domainname = Text(
        "<domain>", "Domain of rewritten senders.", when=_SRS, one_word=True, example="srs.example.com"
    )


class Greylisting(Section):
    """Greylisting: unknown senders have to try again."""

    __slots__ = ()

    enable_postgrey = Flag("0", "Make unknown senders try again later (greylisting by Postgrey).")
    postgrey_delay = Whole("300", "How long a new sender has to wait.", unit="s", when=_POSTGREY)
    postgrey_max_age = Whole("35", "How long a sender that was not seen is remembered.", unit="days", when=_POSTGREY)
    postgrey_text = Text(
        "Delayed by Postgrey",
        "What the sender is told meanwhile.",
        when=_POSTGREY,
        free=True,
        example="Please try again in five minutes",
    )
    postgrey_auto_whitelist_clients = Whole(
        "5", "After how many successes a client is trusted; 0: never.", when=_POSTGREY
    )


class Fetchers(Section):
    """Fetching: mail that is fetched from other servers."""

    __slots__ = ()

    enable_fetchmail = Flag("0", "Fetch mail as fetchmail.cf says.")
    fetchmail_poll = Whole("300", "Pause between two rounds.", unit="s", minimum=1, when="ENABLE_FETCHMAIL=1")
    fetchmail_parallel = Flag("0", "One process for each server in fetchmail.cf.", when="ENABLE_FETCHMAIL=1")
    enable_getmail = Flag("0", "Fetch mail as the files in getmail/ say.")
    getmail_poll = Whole(
        "5", "Pause between two rounds, at least 1. With anything else getmail does not run.",
        unit="minutes", minimum=1, when="ENABLE_GETMAIL=1", on_error="warn", fallback=0,
    )  # fmt: skip
