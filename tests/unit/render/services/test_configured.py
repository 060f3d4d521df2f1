"""Where daemons listen, as their files say."""

from pathlib import Path

import pytest

from dmsinit.render.paths import Root
from dmsinit.render.services.addresses import inet, milter_at
from dmsinit.render.services.configured import Configured
from dmsinit.render.services.master_cf import address, entries

MASTER = """\
smtp       inet  n       -       n       -       1       postscreen
127.0.0.1:587 inet n     -       n       -       -       smtpd -o smtpd_tls_security_level=encrypt -o a=b=c
dmsinit-health unix n    -       n       -       2       smtpd -o max_use=1
pickup     fifo  n       -       n       60      1       pickup
"""


@pytest.mark.parametrize(
    ("line", "key", "found"),
    [
        ("Socket inet:8891@localhost # here\n", "Socket", "inet:8891@localhost"),
        ("port 1\n#port 2\nport\t6379\n", "port", "6379"),
        ("  socket = /run/x.sock\n", "socket", "/run/x.sock"),
        ("path: /run/x.sock\n", "path", "/run/x.sock"),
        ("PORT='10001'\n", "PORT", "10001"),
        ("$inet_socket_port = 10026; # 10024\n", "inet_socket_port", "10026"),
        ("$inet_socket_port = [10027,10028];\n", "inet_socket_port", "10027"),
        ("@listen = qw(127.0.0.1 ::1);\n", "listen", "127.0.0.1"),
        ('bind_socket = "*:11332";\n', "bind_socket", "*:11332"),
        ("ports 1\n", "port", "default"),
        ("", "port", "default"),
    ],
)
def test_the_last_value_of_a_key_in_any_form(tmp_path: Path, line: str, key: str, found: str) -> None:
    (tmp_path / "file").write_text(line)
    asked = Configured(Root(str(tmp_path)))
    assert asked.setting("/missing /file", key, "default") == found
    assert asked.asked == {"/missing", "/file"}


def test_all_files_of_a_directory_in_order(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "20").write_text("port 2\n")
    (tmp_path / "d" / "10").write_text("port 1\n")
    assert Configured(Root(str(tmp_path))).setting("/d/*", "port") == "2"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("inet:8891@localhost", "inet:127.0.0.1:8891"),
        ("inet:8891", "inet:127.0.0.1:8891"),
        ("inet:8891@10.0.0.1", "inet:10.0.0.1:8891"),
        ("inet6:8891@[::1]", "inet:[::1]:8891"),
        ("local:/run/x.sock", "unix:/run/x.sock"),
        ("/run/x.sock mode=0660 owner=x", "unix:/run/x.sock"),
        ("*:11332", "inet:127.0.0.1:11332"),
        ("[::]:11332", "inet:[::1]:11332"),
    ],
)
def test_sockets_as_milters_spell_them(text: str, address: str) -> None:
    assert milter_at(text) == address


def test_entries_of_master_cf() -> None:
    found = {f"{entry.name}/{entry.kind}": entry for entry in entries(MASTER)}
    assert list(found) == ["smtp/inet", "127.0.0.1:587/inet", "dmsinit-health/unix", "pickup/fifo"]
    assert found["127.0.0.1:587/inet"].options == {"smtpd_tls_security_level": "encrypt", "a": "b=c"}
    assert found["127.0.0.1:587/inet"].place == ("127.0.0.1", "587")
    assert found["smtp/inet"].program == "postscreen"


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"inet_interfaces": "all"}, "inet:127.0.0.1:25"),
        ({"inet_interfaces": "all", "inet_protocols": "ipv6"}, "inet:[::1]:25"),
        ({"inet_interfaces": "10.1.2.3, 10.1.2.4"}, "inet:10.1.2.3:25"),
        ({"inet_interfaces": "loopback-only", "postscreen_upstream_proxy_protocol": "haproxy"}, "haproxy:127.0.0.1:25"),
    ],
)
def test_where_port_25_is_reached(values: dict[str, str], found: str) -> None:
    assert address(entries(MASTER)[0], values) == found


def test_no_network_is_asked_for_numbers() -> None:
    assert inet("192.0.2.1", "25") == "inet:192.0.2.1:25"
