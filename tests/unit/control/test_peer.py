import os
import socket
from pathlib import Path

import pytest

from dmsinit.control.peer import Peer, group_id, identify


def test_the_kernel_says_who_connected() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        peer = identify(ours)
    assert (peer.pid, peer.uid) == (os.getpid(), os.getuid())
    assert peer.groups == {os.getgid(), *os.getgroups()}


@pytest.mark.parametrize(
    ("peer", "reads", "operates"),
    [
        (Peer(1, 0, frozenset({0})), True, True),
        (Peer(1, 7, frozenset({7, 42})), True, False),
        (Peer(1, 7, frozenset({7})), False, False),
    ],
)
def test_root_may_all_and_the_group_may_read(peer: Peer, reads: bool, operates: bool) -> None:
    assert (peer.may_read(42), peer.may_operate()) == (reads, operates)


def test_without_the_group_root_alone_may_read() -> None:
    assert not Peer(1, 7, frozenset({7})).may_read(None)


def test_the_group_is_found_in_its_file(tmp_path: Path) -> None:
    database = tmp_path / "group"
    database.write_bytes(b"root:x:0:\n\nbroken\n# dmsinit:x:1:\n+::\ndmsinit:x:\ndmsinit:x:99:a,b\n\xff:x:1:\n")
    assert group_id("dmsinit", database=database) == 99
    assert group_id("nobody", database=database) is None
    assert group_id("dmsinit", database=tmp_path / "missing") is None
