"""What a failure means, from the words of the service or from its ending."""

import errno

import pytest

from dmsinit.supervisor import Exit
from dmsinit.supervisor.hints import hint, shortage


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("fatal: bind 0.0.0.0 port 25: Address already in use", "another process listens"),
        ("OSError: [Errno 98] Address already in use", "another process listens"),
        ("write error: No space left on device", "the disk is full"),
        ("open /var/log/x: Permission denied", "owner and mode"),
        ("setgroups: Operation not permitted", "cap_add"),
        ("fork: Cannot allocate memory", "more memory"),
        ("sh: 1: cannot create /etc/x: Read-only file system", "without `ro`"),
        (
            "x: error while loading shared libraries: libssl.so.3: cannot open shared object file: No such file",
            "a library it needs is missing",
        ),
        ("accept: Too many open files", "nofile"),
        ("can't open /etc/daemon.conf: No such file or directory", "the path that it names"),
        ("connect to 127.0.0.1:6379: Connection refused", "what it connects to"),
    ],
)
def test_known_words(line: str, told: str) -> None:
    assert told in hint(["starting", line, "giving up"], Exit(1, None))


def test_the_last_known_line_counts() -> None:
    assert "the disk is full" in hint(["a: Permission denied", "b: No space left on device", "bye"])


@pytest.mark.parametrize(
    ("ended", "told"),
    [
        (Exit(126, None), "could not be executed"),
        (Exit(127, None), "was not found"),
        (Exit(None, 4), "instructions that this processor does not have"),
        (Exit(None, 11), "crashed"),
        (Exit(None, 31), "seccomp"),
    ],
)
def test_an_ending_that_says_something(ended: Exit, told: str) -> None:
    assert told in hint(["nothing known"], ended)
    assert "the disk is full" in hint(["No space left on device"], ended)


def test_our_own_shortages() -> None:
    assert "ulimit `nofile`" in shortage(OSError(errno.EMFILE, "Too many open files"))
    assert "pids limit" in shortage(BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"))
    assert shortage(FileNotFoundError(errno.ENOENT, "No such file or directory")) == ""


def test_nothing_is_made_up() -> None:
    assert hint([], Exit(1, None)) == ""
    assert hint(["all is well"], Exit(None, 15)) == ""
    assert hint([]) == ""


def test_a_hint_is_one_sentence_that_follows_a_semicolon() -> None:
    """It is appended to `cannot start X: cause; …`: no capital, no full stop, one line."""
    from dmsinit.supervisor import hints

    sentences = [told for _, told in hints._LINES] + [*hints._CODES.values(), *hints._SIGNALS.values()]
    for sentence in (*sentences, hints.OUT_OF_MEMORY):
        assert sentence[0].islower()
        assert not sentence.endswith(".")
        assert "\n" not in sentence
