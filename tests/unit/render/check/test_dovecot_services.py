"""What Dovecot's services need when they start: output of doveconf 2.4."""

from pathlib import Path

import pytest

from dmsinit.render.check.dovecot import settings
from dmsinit.render.check.dovecot_services import absent_files, unstartable
from dmsinit.render.paths import Root


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("service imap-login {\n  chroot = /srv/\n}\n", ["the directory '/srv' (chroot of service imap-login)"]),
        ("service auth {\n  chroot = /srv\n}\n", ["the directory '/srv' (chroot of service auth) does not exist"]),
        ("service x-login {\n  chroot = /d\n}\n", ["the directory '/d' (chroot of service x-login) does not have the"]),
        ("service auth {\n  unix_listener /d/login {\n  }\n}\nservice x-login {\n  chroot = /d\n}\n", []),
        ("service a {\n  chroot = /run/dovecot/login\n}\nservice b {\n  chroot = empty\n}\n", []),
        ("service a {\n  executable = /d/none -x\n}\n", ["the program '/d/none' of service a does not exist"]),
        ("service a {\n  executable = %{x}/none\n  chroot =\n}\n", []),
        ("mail_access_groups = there none\n", ["group 'none' (mail_access_groups) does not exist"]),
        ("service a {\n  extra_groups = none, 12\n}\n", ["group 'none' (extra_groups of service a) does not exist"]),
        ("userdb static {\n  mail_uid = none\n}\n", []),
        ("listen = * ::, some.name 127.0.0.1\n", []),
        ("listen = 192.0.2.77\n", ["'192.0.2.77' (listen) is not an address of this container"]),
        (
            "service a {\n  unix_listener /e/s {\n  }\n  unix_listener /run/y/s {\n  }\n}\n",
            ["the directory of the sock"],
        ),
    ],
)
def test_what_does_not_exist_is_named(tmp_path: Path, text: str, said: list[str]) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").touch()
    (tmp_path / "etc/group").write_text("there:x:7:\n")
    found = list(unstartable(list(settings(text)), Root(str(tmp_path))))
    assert len(found) == len(said), found
    assert all(sentence.startswith(start) for sentence, start in zip(found, said, strict=True)), found


def test_files_that_do_not_exist(tmp_path: Path) -> None:
    (tmp_path / "there.pem").touch()
    text = "ssl_server {\n  cert_file = /there.pem\n  key_file = /none.pem\n  ca_file = </staged.pem\n  dh_file =\n}\n"
    text += "passdb lua {\n  lua_file = /%{user}.lua\n}\n"
    text += "ssl_server_cert_file = /var/mail-state/dmsinit/tls/mail.hill.test-made-cert.pem\n"  # made meanwhile
    assert list(absent_files(settings(text), ["/staged.pem"], Root(str(tmp_path)))) == [
        "the file '/none.pem' does not exist, and Dovecot does not work without it"
    ]
