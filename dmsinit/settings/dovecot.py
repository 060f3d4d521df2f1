"""Variables of Dovecot: protocols, mailboxes, quotas, OAuth2."""

from dmsinit.settings.field import Choice, Flag, Section, Text

_DELIVERY = "SMTP_ONLY=0"


class Dovecot(Section):
    """Dovecot: what it serves and how it stores."""

    __slots__ = ()

    enable_imap = Flag("1", "Serve IMAP on 143 and 993.", when=_DELIVERY)
    enable_pop3 = Flag("0", "Serve POP3 on 110 and 995.", when=_DELIVERY)
    enable_managesieve = Flag("0", "Let users manage their Sieve scripts on 4190.", when=_DELIVERY)
    enable_quotas = Flag("1", "Limit mailboxes; always 0 with ACCOUNT_PROVISIONER=LDAP or SMTP_ONLY=1.")
    dovecot_mailbox_format = Choice(
        "maildir", ("maildir", "sdbox", "mdbox"),
        "How mail is stored. Changing it does not convert what is stored.",
        when=_DELIVERY, on_error="warn",
    )  # fmt: skip
    dovecot_inet_protocols = Choice("all", ("all", "ipv4", "ipv6"), "IP versions on which Dovecot listens.")
    enable_oauth2 = Flag("0", "Let users log in with OAuth2 tokens.", when=_DELIVERY)
    oauth2_introspection_url = Text(
        "",
        "Where Dovecot has tokens checked.",
        when="ENABLE_OAUTH2=1",
        one_word=True,
        example="https://id.example.com/oauth2/introspect",
    )
