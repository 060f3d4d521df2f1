import socket
import stat
from pathlib import Path

import pytest

from dmsinit.control.listeners import ListenError, parse_address, tcp_listener, unix_listener


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:9154", (socket.AF_INET, "127.0.0.1", 9154)),
        ("localhost:1", (socket.AF_INET, "127.0.0.1", 1)),
        (":9154", (socket.AF_INET, "0.0.0.0", 9154)),
        ("*:9154", (socket.AF_INET, "0.0.0.0", 9154)),
        ("[::1]:9154", (socket.AF_INET6, "::1", 9154)),
        ("[::]:9154", (socket.AF_INET6, "::", 9154)),
    ],
)
def test_addresses_are_read(text: str, expected: tuple[socket.AddressFamily, str, int]) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["", "9154", "127.0.0.1:", "127.0.0.1:70000", "mail.example.test:1", "1.2.3:1", ":²"])
def test_what_is_no_address_is_told(text: str) -> None:
    with pytest.raises(ListenError, match=r"METRICS_LISTEN"):
        parse_address(text)


def test_a_port_in_use_is_told() -> None:
    with tcp_listener("127.0.0.1:0") as first:
        port = first.getsockname()[1]
        with pytest.raises(ListenError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            tcp_listener(f"127.0.0.1:{port}")


def test_a_socket_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "run" / "control.sock"
    unix_listener(path).close()
    with unix_listener(path, group_id=path.parent.stat().st_gid) as listener:
        assert listener.getblocking() is False
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_path_that_cannot_be_bound_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="path too long"):
        unix_listener(tmp_path / ("x" * 200))
