"""Services of master.cf, as text says them."""

from dmsinit.render.check.master_cf import entries

TEXT = """\
# service type private unpriv chroot wakeup maxproc command
smtp      inet  n - n - 1 postscreen
cleanup   unix  n - n - 0 cleanup
# a comment in between
  -o header_checks=pcre:/etc/x
  -o { smtpd_banner = two words }
local     unix  - n n - - local
broken    unix
"""


def test_entries_and_their_options() -> None:
    smtp, cleanup, local = entries(TEXT)
    assert (smtp.name, smtp.kind, smtp.command, smtp.process_limit, smtp.unprivileged) == (
        "smtp", "inet", "postscreen", "1", True,
    )  # fmt: skip
    assert cleanup.options == {"header_checks": "pcre:/etc/x", "smtpd_banner": "two words"}
    assert not local.unprivileged
    assert local.arguments == ()
