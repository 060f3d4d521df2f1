"""Plugins that Dovecot is to load: output of doveconf 2.4."""

from pathlib import Path

from dmsinit.render.check.dovecot import AUTH, MODULES, missing_plugins, unheard, unusable
from dmsinit.render.paths import Root

CONFIGURATION = """\
mail_path = /var/mail
mail_plugins {
  quota = yes
  nosuch = yes
  off = no
}
protocols {
  imap = yes
}
protocol lmtp {
  mail_plugins = sieve foo-bar
}
local 192.0.2.1 {
  protocol pop3 {
    mail_plugins {
      popx = yes
      quota = yes
    }
  }
}
"""


def test_plugins_that_are_not_there(tmp_path: Path) -> None:
    folder = tmp_path / MODULES.lstrip("/")
    folder.mkdir(parents=True)
    for name in ("lib10_quota_plugin.so", "lib90_sieve_plugin.so", "lib10_foo_bar_plugin.so"):
        (folder / name).touch()
    assert missing_plugins(CONFIGURATION, Root(str(tmp_path))) == [("nosuch", MODULES), ("popx", MODULES)]
    other = "mail_plugin_dir = /opt/modules\nmail_plugins = quota\n"
    assert missing_plugins(other, Root(str(tmp_path))) == [("quota", "/opt/modules")]


def test_plugins_in_every_form_that_switches_them_on(tmp_path: Path) -> None:
    text = "mail_plugins = a, b\nmail_plugins {\n  c = 1\n  d = Y\n  e = 0\n}\nlogin_plugins {\n  f.g = yes\n}\n"
    assert [name for name, _ in missing_plugins(text, Root(str(tmp_path)))] == ["a", "b", "c", "d", "f.g"]


def test_mechanisms_and_owners_that_do_not_exist(tmp_path: Path) -> None:
    (tmp_path / AUTH.lstrip("/")).parent.mkdir(parents=True)
    (tmp_path / AUTH.lstrip("/")).write_bytes(b"x\0PLAIN\0LOGIN\0SCRAM-SHA-1\0")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("docker:x:5000:5000::/:/bin/sh\n")
    (tmp_path / "etc/group").write_text("docker:x:5000:\n")
    text = "auth_mechanisms = plain scram-sha-1 foo\nservice auth {\n  user = nobody2\n  unix_listener x {\n"
    text += "    user = docker\n    group = none\n    mode = 0600\n  }\n}\npassdb static {\n  user = any\n}\n"
    assert unusable(text, Root(str(tmp_path))) == [
        "unknown authentication mechanism 'foo', so logins would fail",
        "user 'nobody2' of service auth does not exist, so Dovecot would not start",
        "group 'none' of unix_listener x does not exist, so Dovecot would not start",
    ]


LISTENERS = """\
protocols {
  lmtp = yes
}
service lmtp {
  unix_listener lmtp {
    mode = 0660
  }
}
service auth {
  unix_listener /dev/shm/sasl-auth.sock {
    mode = 0660
  }
}
service quota-status {
  inet_listener policy {
    port = 65265
  }
}
"""
POSTFIX = {
    "virtual_transport": "lmtp:unix:/var/run/dovecot/lmtp",
    "smtpd_sasl_path": "/dev/shm/sasl-auth.sock",
    "smtpd_recipient_restrictions": "check_policy_service inet:localhost:65265, check_policy_service inet:localhost:1",
}


def test_sockets_at_which_postfix_expects_dovecot() -> None:
    assert unheard(LISTENERS, POSTFIX, [65265]) == []
    lmtp, auth, policy = [
        ("/run/dovecot/lmtp", "virtual_transport"),
        ("/dev/shm/sasl-auth.sock", "smtpd_sasl_path"),
        ("port 65265", "smtpd_recipient_restrictions"),
    ]
    assert unheard(LISTENERS.replace("lmtp = yes", "imap = yes"), POSTFIX, [65265]) == [lmtp]
    assert unheard(LISTENERS.replace("mode = 0660", "mode = 0"), POSTFIX, [65265]) == [lmtp, auth]
    assert unheard(LISTENERS.replace("65265", "0"), POSTFIX, [65265]) == [policy]
    assert unheard("base_dir = /srv\n" + LISTENERS, POSTFIX, [65265]) == [lmtp]
    assert unheard("protocols = lmtp\n" + LISTENERS.partition("}\n")[2], POSTFIX, []) == []
    assert unheard("", {"virtual_transport": "virtual:", "smtpd_sasl_path": "smtpd"}, []) == []
