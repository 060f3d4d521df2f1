"""Plugins that Dovecot is to load: output of doveconf 2.4."""

from pathlib import Path

from dmsinit.render.check.dovecot import MODULES, missing_plugins
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
