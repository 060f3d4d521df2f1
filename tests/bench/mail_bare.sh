#!/bin/bash
# Run bare daemons with the configuration of Debian's packages: mail_bare.sh none|spam|virus|rspamd. Only what a server needs to take
# mail at all is added: who the users are, where the mailboxes are, and the lines of README.Debian for Amavis and ClamAV.
set -eu
filter=$1
useradd --create-home bench
echo example.test > /etc/mailname
[ -e /etc/aliases ] || : > /etc/aliases
postalias /etc/aliases
# shellcheck disable=SC2016 # Postfix expands it
postconf -e 'myhostname = mail.example.test' 'mydestination = $myhostname, example.test, localhost' \
    'mynetworks = 127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16' 'smtpd_tls_security_level = none' \
    'mailbox_transport = lmtp:unix:private/dovecot-lmtp'
cat > /etc/dovecot/conf.d/99-bench.conf << END
ssl = no
mail_driver = maildir
mail_path = ~/Maildir
mail_inbox_path =
service lmtp {
  unix_listener /var/spool/postfix/private/dovecot-lmtp {
    mode = 0600
    user = postfix
    group = postfix
  }
}
END
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=mail.example.test \
    -keyout /etc/dovecot/private/dovecot.key -out /etc/dovecot/private/dovecot.pem 2> /dev/null
mkdir -p /var/spool/postfix/etc /run/amavis /run/clamav
cp /etc/resolv.conf /etc/services /etc/hosts /etc/nsswitch.conf /etc/localtime /var/spool/postfix/etc/
install -d -o amavis -g amavis -m 750 /var/lib/amavis/tmp
chown amavis:amavis /run/amavis
chown clamav:clamav /run/clamav
rsyslogd
until [ -S /dev/log ]; do sleep 0.05; done
if [ "$filter" = rspamd ]; then
    postconf -e 'smtpd_milters = inet:localhost:11332'
    # Without Redis, as the package is: no Bayes, no history.
    install -d -o _rspamd -g _rspamd /run/rspamd
    rspamd --user _rspamd --group _rspamd
    until (exec 3<> /dev/tcp/127.0.0.1/11332) 2> /dev/null; do sleep 0.1; done
elif [ "$filter" != none ]; then
    printf 'dns_available no\n' > /etc/spamassassin/bench.cf
    {
        echo 'use strict;'
        echo '@bypass_spam_checks_maps = (\%bypass_spam_checks, \@bypass_spam_checks_acl, \$bypass_spam_checks_re);'
        [ "$filter" != virus ] ||
            echo '@bypass_virus_checks_maps = (\%bypass_virus_checks, \@bypass_virus_checks_acl, \$bypass_virus_checks_re);'
        echo '1;'
    } > /etc/amavis/conf.d/15-content_filter_mode
    postconf -e 'content_filter = smtp-amavis:[127.0.0.1]:10024'
    cat >> /etc/postfix/master.cf << 'END'
smtp-amavis unix - - - - 2 smtp
    -o smtp_data_done_timeout=1200
    -o smtp_send_xforward_command=yes
    -o disable_dns_lookups=yes
    -o max_use=20
127.0.0.1:10025 inet n - - - - smtpd
    -o content_filter=
    -o local_recipient_maps=
    -o relay_recipient_maps=
    -o smtpd_restriction_classes=
    -o smtpd_delay_reject=no
    -o smtpd_client_restrictions=permit_mynetworks,reject
    -o smtpd_helo_restrictions=
    -o smtpd_sender_restrictions=
    -o smtpd_recipient_restrictions=permit_mynetworks,reject
    -o smtpd_data_restrictions=reject_unauth_pipelining
    -o smtpd_end_of_data_restrictions=
    -o mynetworks=127.0.0.0/8
    -o smtpd_error_sleep_time=0
    -o smtpd_soft_error_limit=1001
    -o smtpd_hard_error_limit=1000
    -o smtpd_client_connection_count_limit=0
    -o smtpd_client_connection_rate_limit=0
    -o receive_override_options=no_header_body_checks,no_unknown_recipient_checks
END
    if [ "$filter" = virus ]; then
        touch /var/log/clamav/clamav.log && chown clamav:adm /var/log/clamav/clamav.log
        clamd --config-file=/etc/clamav/clamd.conf
    fi
    setpriv --reuid amavis --regid amavis --init-groups env HOME=/var/lib/amavis /usr/sbin/amavisd
    until (exec 3<> /dev/tcp/127.0.0.1/10024) 2> /dev/null; do sleep 0.1; done
fi
postfix check
dovecot
postfix start
until (exec 3<> /dev/tcp/127.0.0.1/25) 2> /dev/null; do sleep 0.1; done
echo 'is up and running'
exec sleep infinity
