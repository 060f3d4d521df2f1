# A mail server whose PID 1 is dmsinit. What changes rarely comes first: a change of our code rebuilds the last two steps.

# SpamAssassin's rules as machine code: that takes a compiler, which this stage keeps to itself. SpamAssassin uses of it what
# still equals its rules, so that newer rules are never answered with older code.
FROM docker.io/library/debian:13-slim AS rules
RUN export DEBIAN_FRONTEND=noninteractive \
 && apt-get update -qq \
 && apt-get install -qq --yes --no-install-recommends spamassassin sa-compile \
 && test -d /var/lib/spamassassin/compiled

FROM docker.io/library/debian:13-slim

# Ids first, so that they stay what volumes know them as: docker (5000) owns the mail, syslog the log files.
RUN groupadd --gid 5000 docker \
 && useradd --uid 5000 --gid docker --home-dir /home/docker --create-home --shell /usr/sbin/nologin docker \
 && groupadd --system syslog \
 && useradd --system --gid syslog --home-dir /nonexistent --shell /usr/sbin/nologin syslog \
 && groupadd --system dmsinit \
 && printf '#!/bin/sh\n# Daemons are started by dmsinit alone, never by a package.\nexit 101\n' > /usr/sbin/policy-rc.d \
 && chmod 755 /usr/sbin/policy-rc.d

# dbconfig-no-thanks and systemd-standalone-sysusers: else opendmarc brings a MariaDB client and cron all of systemd. The snakeoil key pair is made on a user's machine
# when it is asked for; one that everybody can download protects nothing.
RUN export DEBIAN_FRONTEND=noninteractive \
 && apt-get update -qq \
 && apt-get install -qq --yes --no-install-recommends \
      postfix postfix-ldap postfix-pcre postfix-policyd-spf-python \
      dovecot-auth-lua dovecot-flatcurve dovecot-imapd dovecot-ldap dovecot-lmtpd dovecot-managesieved dovecot-pop3d dovecot-sieve \
      opendkim opendkim-tools opendmarc dbconfig-no-thanks \
      rsyslog cron logrotate systemd-standalone-sysusers \
      python3-minimal python3-aiofiles python3-anyio python3-dnspython python3-h11 python3-jinja2 python3-msgspec python3-prometheus-client \
      bind9-dnsutils ca-certificates curl iproute2 less nano netcat-openbsd openssl procps ssl-cert swaks tzdata whois \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log /var/log/alternatives.log \
      /etc/ssl/private/ssl-cert-snakeoil.key /etc/ssl/certs/ssl-cert-snakeoil.pem /etc/dovecot/private/*

# Filters, protection, fetchers, reports. clamav has a fixed id, because its database is on a volume; the unpackers are for amavis.
# pyinotify: else fail2ban looks at its logs every second. The package's secret of postsrsd would be everybody's.
RUN export DEBIAN_FRONTEND=noninteractive \
 && groupadd --system --gid 200 clamav \
 && useradd --system --uid 200 --gid clamav --home-dir /var/lib/clamav --shell /usr/sbin/nologin clamav \
 && apt-get update -qq \
 && apt-get install -qq --yes --no-install-recommends \
      amavisd-new spamassassin gnupg libmail-dkim-perl libnet-dns-perl \
      7zip arj bzip2 cabextract cpio file gzip lhasa lzop rpm2cpio unrar-free unzip xz-utils zstd \
      clamav-daemon clamav-freshclam \
      rspamd redis-server postgrey postsrsd postfix-mta-sts-resolver fail2ban python3-pyinotify nftables iptables \
      fetchmail getmail6 sasl2-bin libsasl2-modules \
      pflogsumm logwatch libdate-manip-perl \
 && gpasswd --add clamav amavis && gpasswd --add amavis clamav && gpasswd --add postfix sasl && gpasswd --add _rspamd clamav \
 && rm /etc/postsrsd.secret /etc/logrotate.d/fail2ban /etc/logrotate.d/redis-server /etc/logrotate.d/rspamd \
      /etc/logrotate.d/clamav-* /etc/cron.d/amavisd-new /etc/cron.daily/spamassassin /etc/cron.daily/00logwatch \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log /var/log/alternatives.log
COPY --from=rules --chown=debian-spamd:debian-spamd /var/lib/spamassassin/compiled /var/lib/spamassassin/compiled
COPY --from=rules /etc/spamassassin/sa-compile.pre /etc/spamassassin/

# Rspamd compiles its list of top-level domains once for each kind of processor, which takes seconds and 1 GiB of memory.
# It keeps its counters from one run to the next in stats.ucl.
RUN printf 'Subject: warm-up\n\nhttp://example.test/\n' > /tmp/message \
 && rspamadm mime urls /tmp/message > /dev/null && rspamadm configtest -q 2> /dev/null \
 && rm /tmp/message && touch /var/lib/rspamd/stats.ucl && chown -R _rspamd:_rspamd /var/lib/rspamd

RUN mkdir -p /var/log/mail /var/log/supervisor /var/lib/dmsinit /tmp/docker-mailserver /etc/dmsinit/services /etc/supervisor/conf.d \
 && mkdir -m 700 /var/lib/getmail && chown docker:docker /var/lib/getmail \
 && chown syslog:root /var/log/mail \
 && ln -s mail/mail.log /var/log/mail.log

LABEL org.opencontainers.image.title=docker-mailserver \
      org.opencontainers.image.description="Mail server container with dmsinit as PID 1" \
      org.opencontainers.image.licenses=MIT
EXPOSE 25 587 465 110 143 993 995 4190
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 CMD ["dms-healthcheck"]
CMD ["dmsinit"]

# No daily jobs of apt and dpkg: they would let a report wait for up to half an hour.
COPY . /usr/share/dmsinit/
ARG DMS_RELEASE=edge
ENV DMS_RELEASE=$DMS_RELEASE
ARG DMS_RELEASES_URL=
RUN cd /usr/share/dmsinit && echo "$DMS_RELEASES_URL" > releases-url \
 && rm /etc/dovecot/conf.d/90-quota.conf /etc/dovecot/conf.d/90-fts-flatcurve.conf /etc/cron.daily/logrotate /etc/cron.daily/apt-compat /etc/cron.daily/dpkg \
 && rm /etc/init.d/* && for name in amavis clamav-daemon clamav-freshclam cron dovecot fail2ban fetchmail opendkim \
      opendmarc postfix postfix-mta-sts-resolver postgrey postsrsd redis-server rspamd rsyslog saslauthd; do \
      install -m 755 bin/init-shim "/etc/init.d/$name"; done \
 && install -D -m 644 dmsinit/cli/completion /usr/share/bash-completion/completions/dmsctl \
 && install -D -m 644 docs/man/dmsctl.8 /usr/share/man/man8/dmsctl.8 && rm -r docs \
 && mv dmsinit /usr/lib/python3/dist-packages/ \
 && rm bin/init-shim && mv bin/* /usr/local/bin/ && rmdir bin \
 && python3 -I -m compileall -q /usr/lib/python3/dist-packages/dmsinit \
 && dmsinit render --compile \
 && find / -xdev -type f -perm -4000 -exec chmod u-s {} + \
 && cd /usr/local/bin && for name in \
      addmailuser updatemailuser delmailuser listmailuser addalias delalias listalias setquota delquota \
      adddovecotmasteruser updatedovecotmasteruser deldovecotmasteruser listdovecotmasteruser open-dkim rspamd-dkim \
      addrelayhost addsaslpassword excluderelaydomain restrict-access fail2ban; \
    do ln -s setup "$name"; done && ln -s /usr/local/bin/supervisorctl /usr/bin/supervisorctl
