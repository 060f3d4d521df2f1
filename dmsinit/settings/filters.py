"""Variables of what judges mail: Amavis, SpamAssassin, ClamAV, Rspamd, and Fail2ban."""

from typing import Final

from dmsinit.settings.field import Choice, Flag, Number, Same, Section, Whole
from dmsinit.settings.kinds import Prefix, SizeField

_SPAMASSASSIN: Final = "ENABLE_SPAMASSASSIN=1"
_RSPAMD: Final = "ENABLE_RSPAMD=1"
_DELIVERY: Final = "SMTP_ONLY=0"


class Spam(Section):
    """Spam: what happens to it, whoever found it."""

    __slots__ = ()

    spam_subject = Prefix(
        "", "Put before the subject of spam, blanks at its end included; empty: nothing. "
        "Quotes around it are not part of it.",
        when=_DELIVERY, free=True, example='"[SPAM] "',
    )  # fmt: skip
    move_spam_to_junk = Flag("1", "Deliver spam into the Junk folder.", when=_DELIVERY)
    mark_spam_as_read = Flag("0", "Deliver spam as already read.", when=_DELIVERY)


class Amavis(Section):
    """Amavis: with SpamAssassin and ClamAV."""

    __slots__ = ()

    enable_amavis = Flag("1", "Pass mail through Amavis, which asks SpamAssassin and ClamAV.")
    amavis_loglevel = Whole("0", "How much Amavis logs.", minimum=-3, maximum=5, when="ENABLE_AMAVIS=1")
    virusmails_delete_delay = Whole("7", "How long quarantined mail is kept.", unit="days")
    enable_clamav = Flag("0", "Look for viruses by ClamAV; needs Amavis or Rspamd, and about 1 GB of memory.")
    clamav_message_size_limit = SizeField("25M", "Largest message that ClamAV scans.", when="ENABLE_CLAMAV=1")
    enable_spamassassin = Flag("0", "Look for spam by SpamAssassin; needs ENABLE_AMAVIS=1, otherwise it counts as 0.")
    enable_spamassassin_kam = Flag("0", "Use the KAM rules too, updated daily.", when=_SPAMASSASSIN)
    spamassassin_spam_to_inbox = Flag(
        "1",
        "`1`: deliver spam, marked as such. `0`: a message that scores SA_KILL or more is not delivered; it is kept in "
        "quarantine only, and the sender is not told.",
        when=_SPAMASSASSIN,
    )
    sa_tag = Number("2.0", "Score from which headers with the result are added.", when=_SPAMASSASSIN)
    sa_tag2 = Number("6.31", "Score from which mail is marked as spam.", when=_SPAMASSASSIN)
    sa_kill = Number(
        "10.0", "Score from which a copy goes to quarantine; see SPAMASSASSIN_SPAM_TO_INBOX.", when=_SPAMASSASSIN
    )
    sa_shortcircuit_bayes_spam = Flag("0", "Stop at once for what Bayes is sure to be spam.", when=_SPAMASSASSIN)
    sa_shortcircuit_bayes_ham = Flag("0", "Stop at once for what Bayes is sure not to be spam.", when=_SPAMASSASSIN)


class Rspamd(Section):
    """Rspamd: with its Redis."""

    __slots__ = ()

    enable_rspamd = Flag("0", "Judge mail by Rspamd; it replaces Amavis, OpenDKIM, OpenDMARC, policyd-spf, Postgrey.")
    enable_rspamd_redis = Flag(Same("ENABLE_RSPAMD"), "Run a Redis for Rspamd; 0: bring your own.")
    rspamd_check_authenticated = Flag("0", "Judge mail of logged-in users too, not only sign it.", when=_RSPAMD)
    rspamd_greylisting = Flag("0", "Make suspicious senders try again later.", when=_RSPAMD)
    rspamd_hfilter = Flag("1", "Judge host names of clients (module hfilter).", when=_RSPAMD)
    rspamd_hfilter_hostname_unknown_score = Whole(
        "6", "Score of a client without a host name.", when=f"{_RSPAMD} and RSPAMD_HFILTER=1",
        minimum=-1000, maximum=1000, on_error="warn",
    )  # fmt: skip
    rspamd_neural = Flag("0", "Use the neural network module (experimental).", when=_RSPAMD)
    rspamd_learn = Flag("0", "Learn from mail that users move into and out of Junk.", when=f"{_RSPAMD} and {_DELIVERY}")


class Banning(Section):
    """Fail2ban: who guesses passwords is banned."""

    __slots__ = ()

    enable_fail2ban = Flag("0", "Ban addresses that guess passwords; needs the capability NET_ADMIN.")
    fail2ban_blocktype = Choice(
        "drop", ("drop", "reject"), "Whether banned clients get no answer or a refusal.",
        when="ENABLE_FAIL2BAN=1", on_error="warn",
    )  # fmt: skip
