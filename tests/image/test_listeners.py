"""Where users let daemons listen: every such server comes up and stays up, because the probes follow."""

import pytest

from tests.image.conftest import Start
from tests.image.harness import DOMAIN, Server, account

ANNA = f"anna@{DOMAIN}"
EAGER = '[health]\ninterval = "1s"\n'
QUIET = {"ENABLE_AMAVIS": "0", "ENABLE_OPENDKIM": "0", "ENABLE_OPENDMARC": "0"}

POSTFIX = {
    "its own address alone": ("", "postconf \"inet_interfaces = $(hostname -i | cut -d' ' -f1)\""),
    "its own name alone": ("inet_interfaces = $myhostname\n", ""),
    "a proxy before postscreen": ("", "postconf 'postscreen_upstream_proxy_protocol = haproxy'"),
    "a proxy before postscreen, in master.cf": (
        "",
        "postconf -P 'smtp/inet/postscreen_upstream_proxy_protocol=haproxy'",
    ),
    "a strict postscreen": (
        "postscreen_greet_wait = 30s\npostscreen_greet_action = drop\npostscreen_pipelining_enable = yes\n"
        "postscreen_client_connection_count_limit = 1\npostscreen_access_list = cidr:{ { 0.0.0.0/0 reject } }\n"
        "postscreen_denylist_action = drop\npostscreen_allowlist_interfaces = !all\npostscreen_dnsbl_timeout = 30s\n",
        "",
    ),
    "no port 25": ("", "postconf -MX smtp/inet"),
    "another port": ("", "sed -i 's/^smtp  *inet/2525 inet/' /etc/postfix/master.cf"),
    "smtpd instead of postscreen": (
        "",
        "postconf -M 'smtp/inet=smtp inet n - n - - smtpd' && postconf -P smtp/inet/smtpd_tls_wrappermode=yes",
    ),
    "a proxy before smtpd": ("smtpd_upstream_proxy_protocol = haproxy\n", ""),
    "no probe": ("", "postconf -MX dmsinit-health/unix"),
    "rules against everybody": (
        "smtpd_client_restrictions = sleep 9, reject\nsmtpd_delay_reject = no\nsmtpd_milters = inet:127.0.0.1:9\n"
        "smtpd_client_connection_count_limit = 1\nsmtpd_banner = $myhostname says 220\n",
        "",
    ),
}
"""What it is called → postfix-main.cf, user-patches.sh."""


@pytest.mark.parametrize("case", POSTFIX)
def test_postfix_is_up_wherever_it_listens(start: Start, case: str) -> None:
    main_cf, patches = POSTFIX[case]
    files = {
        "postfix-accounts.cf": account(ANNA), "postfix-main.cf": main_cf, "user-patches.sh": f"{patches}\n",
        "services/postfix.toml": EAGER,
    }  # fmt: skip
    server = start(files, environment=QUIET).wait_until_up()
    expect_probed(server, "postfix")


def expect_probed(server: Server, *services: str) -> None:
    """The services pass their health probes: none is restarted or unhealthy while five of them are asked."""
    for _ in range(5):
        server.checked("sleep", "1")
        table = server.services()
        assert {name: (table[name]["state"], table[name]["restarts"]) for name in services} == dict.fromkeys(
            services, ("ready", 0)
        )


MOVED = """
sed -i 's/^Socket .*/Socket inet:18891@127.0.0.1/' /etc/opendkim.conf
sed -i 's/^Socket .*/Socket local:\\/run\\/opendmarc\\/opendmarc.sock/' /etc/opendmarc.conf
sed -i 's/10001/11001/; s/10002/11002/' /etc/default/postsrsd
sed -i 's/daemon.sock/other.sock/' /etc/mta-sts-daemon.yml
sed -i 's/^port .*/port 16379/' /etc/redis/redis.conf && echo 'requirepass secret' >> /etc/redis/redis.conf
"""


def test_all_daemons_are_up_wherever_they_listen(start: Start) -> None:
    files = {
        "postfix-accounts.cf": account(ANNA),
        "user-patches.sh": MOVED,
        "amavis.cf": "use strict;\n$inet_socket_port = [10026, 10028];  # not 10024\n1;\n",
        "fail2ban-fail2ban.cf": "[Definition]\nsocket = /run/fail2ban/moved.sock\n",
        "rspamd/override.d/worker-proxy.inc": 'bind_socket = "*:21332";\n',
        "dovecot.cf": "protocols {\n  imap = no\n  pop3 = yes\n}\nlisten = 0.0.0.0\n",
    }
    names = (
        "amavis",
        "dovecot",
        "fail2ban",
        "mta-sts-daemon",
        "opendkim",
        "opendmarc",
        "postsrsd",
        "rspamd",
        "rspamd-redis",
    )
    files |= {f"services/{name}.toml": EAGER for name in names}
    on = ("ENABLE_RSPAMD", "ENABLE_SRS", "ENABLE_MTA_STS", "ENABLE_FAIL2BAN")
    server = start(files, environment=dict.fromkeys(on, "1")).wait_until_up()
    expect_probed(server, *names)


def test_a_listener_that_moves_later_is_followed(start: Start) -> None:
    """An apply restarts the daemon, which could not move it while it runs, and the probes ask in the new place."""
    override = "[Definition]\nsocket = /run/fail2ban/{}.sock\n"
    files = {"postfix-accounts.cf": account(ANNA), "fail2ban-fail2ban.cf": override.format("one")}
    server = start(files | {"services/fail2ban.toml": EAGER}, environment=QUIET | {"ENABLE_FAIL2BAN": "1"})
    before = server.wait_until_up().pids()["fail2ban"]
    (server.config / "fail2ban-fail2ban.cf").write_text(override.format("two"))
    server.checked("dmsctl", "apply")
    assert server.pids()["fail2ban"] != before
    server.checked("test", "-S", "/run/fail2ban/two.sock")
    expect_probed(server, "fail2ban")
