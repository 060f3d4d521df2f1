"""Variables of the server as a whole: name, log, ids, network, certificates, reports."""

from typing import Final

from dmsinit.settings.field import Choice, FilePath, Flag, Same, Section, Text, Whole
from dmsinit.settings.kinds import Duration, Listen

_MANUAL: Final = "SSL_TYPE=manual"


class Server(Section):
    """Server: names, ids, logs, time."""

    __slots__ = ()

    override_hostname = Text(
        "", "Mail name (FQDN) to use instead of the one that `hostname -f` tells. The container's own host name stays.",
        one_word=True, example="mail.example.com",
    )  # fmt: skip
    log_level = Choice(
        "info", ("error", "warn", "info", "debug", "trace"),
        "How much start-up, change detection and the commands say.",
        on_error="warn",
    )  # fmt: skip
    log_format = Choice(
        "text", ("text", "json"), "How dmsinit's own log lines are written; `json`: one object a line.",
        on_error="warn",
    )  # fmt: skip
    supervisor_loglevel = Choice(
        "warn", ("critical", "error", "warn", "info", "debug"),
        "How much dmsinit writes into `/var/log/supervisor/supervisord.log`; `debug` has each transition of a service.",
        on_error="warn",
    )  # fmt: skip
    metrics_listen = Listen(
        "127.0.0.1:9154", "Address of the Prometheus metrics and the health pages; empty turns them off.",
        keep_empty=True, example="0.0.0.0:9154",
    )  # fmt: skip
    dms_release = Text("edge", "Version of the image; set by the image, not by users.")
    dms_vmail_uid = Whole("5000", "Numeric user id that owns the mail in /var/mail.", minimum=1, maximum=2**32 - 2)
    dms_vmail_gid = Whole("5000", "Numeric group id of the mail in /var/mail.", minimum=1, maximum=2**32 - 2)
    account_provisioner = Choice(
        "FILE", ("FILE", "LDAP", "OIDC"),
        "Where accounts, aliases and quotas come from: the config volume, or a directory server. OIDC is reserved.",
    )  # fmt: skip
    tz = Text(
        "",
        "Time zone of the container (`Area/City`); empty: the image's, or a mounted /etc/localtime.",
        example="Europe/Berlin",
    )
    dms_config_poll = Duration(
        "2", "Pause between two looks at the config volume where its file system does not report changes.",
        bare=True,
    )  # fmt: skip
    enable_update_check = Flag("1", "Tell POSTMASTER_ADDRESS by mail, once, when a newer release of the image exists.")
    update_check_interval = Duration(
        "1d", "Pause between two checks for a newer release.", when="ENABLE_UPDATE_CHECK=1", on_error="warn"
    )


class Network(Section):
    """Networks: who is trusted without a password."""

    __slots__ = ()

    permit_docker = Choice(
        "none", ("none", "container", "host", "network", "connected-networks"),
        "Who may send without a password. `none`: nobody; `container`: the container itself; `host`: its /16; "
        "`network`: all of 172.16.0.0/12; `connected-networks`: every network that the container is connected to. "
        "The last three can make an open relay.",
        on_error="warn",
    )  # fmt: skip
    network_interface = Text(
        "eth0",
        "Interface whose IPv4 address is the container's address for PERMIT_DOCKER.",
        one_word=True,
        example="ens3",
    )


class Certificates(Section):
    """TLS: which certificate is shown, and how strict TLS is."""

    __slots__ = ()

    ssl_type = Choice(
        "", ("", "letsencrypt", "custom", "manual", "self-signed", "snakeoil"),
        "Where the certificate comes from. Empty: TLS is offered with a certificate that the server makes, but not "
        "required, and passwords may travel in clear text.",
    )  # fmt: skip
    ssl_domain = Text(
        "", "Name under /etc/letsencrypt/live, or in acme.json, to look for first; may start with `*.`. Of several "
        "certificates in acme.json the valid one that covers the name, and ends last, is used.",
        when="SSL_TYPE=letsencrypt", one_word=True, example="*.example.com",
    )  # fmt: skip
    ssl_cert_path = FilePath(
        "", "Certificate chain (PEM); a renewed file is noticed.", when=_MANUAL, example="/certs/fullchain.pem"
    )
    ssl_key_path = FilePath(
        "", "Private key of SSL_CERT_PATH; a renewed file is noticed.", when=_MANUAL, example="/certs/privkey.pem"
    )
    ssl_alt_cert_path = FilePath(
        "", "Second chain, for example RSA beside ECDSA.", when=_MANUAL, example="/certs/rsa-fullchain.pem"
    )
    ssl_alt_key_path = FilePath("", "Private key of SSL_ALT_CERT_PATH.", when=_MANUAL, example="/certs/rsa-privkey.pem")
    tls_level = Choice(
        "modern", ("modern", "intermediate"),
        "Cipher suites that Postfix and Dovecot accept; both levels need TLS 1.2 or later.",
        on_error="warn",
    )  # fmt: skip


class Reports(Section):
    """Reports: mail about the server, and how long logs are kept."""

    __slots__ = ()

    postmaster_address = Text(
        "postmaster@<domain>",
        "Who gets mail for root and postmaster, and the fallback for reports.",
        example="admin@example.com",
    )
    report_recipient = Text(
        Same("POSTMASTER_ADDRESS"),
        "Who gets reports, unless a report names its own recipient.",
        example="reports@example.com",
    )
    report_sender = Text(
        "mailserver-report@<FQDN>",
        "Sender of reports, unless a report names its own.",
        example="mailserver@example.com",
    )
    pflogsumm_trigger = Choice(
        "none", ("none", "daily_cron", "logrotate"),
        "When a summary of Postfix's log is mailed: never, daily, or when the mail log is rotated.",
        on_error="warn",
    )  # fmt: skip
    pflogsumm_recipient = Text(
        Same("REPORT_RECIPIENT"),
        "Who gets the Postfix summary.",
        when="PFLOGSUMM_TRIGGER!=none",
        example="reports@example.com",
    )
    pflogsumm_sender = Text(
        Same("REPORT_SENDER"),
        "Sender of the Postfix summary.",
        when="PFLOGSUMM_TRIGGER!=none",
        example="mailserver@example.com",
    )
    logwatch_interval = Choice(
        "none", ("none", "daily", "weekly"), "How often a logwatch report is mailed.", on_error="warn"
    )
    logwatch_recipient = Text(
        Same("REPORT_RECIPIENT"),
        "Who gets the logwatch report.",
        when="LOGWATCH_INTERVAL!=none",
        example="reports@example.com",
    )
    logwatch_sender = Text(Same("REPORT_SENDER"), "Sender of the logwatch report.", example="mailserver@example.com")
    logrotate_interval = Choice(
        "weekly", ("daily", "weekly", "monthly"), "How often the logs of mail, Rspamd and Fail2ban are rotated."
    )
    logrotate_count = Whole("4", "How many rotated logs are kept.")
