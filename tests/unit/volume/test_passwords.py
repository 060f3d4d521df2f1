"""Password hashes are what crypt(3) elsewhere makes of the same password."""

import subprocess

import pytest

from dmsinit.volume.errors import EditError
from dmsinit.volume.passwords import hash_password


@pytest.mark.parametrize("password", ["simple", " outer blanks ", r"""q"u'o\te\\ $HOME . `x`""", "Grüße 👋", "x" * 256])
def test_openssl_makes_the_same_hash(password: str) -> None:
    hashed = hash_password(password)
    assert hashed.startswith("{SHA512-CRYPT}$6$")
    salt = hashed.split("$")[2]
    command = ["openssl", "passwd", "-6", "-salt", salt, "-stdin"]
    made = subprocess.run(command, input=password, capture_output=True, text=True, check=True).stdout
    assert "{SHA512-CRYPT}" + made.strip() == hashed


def test_two_hashes_of_one_password_differ() -> None:
    assert hash_password("x") != hash_password("x")


@pytest.mark.parametrize("password", ["", "x" * 512, "a\0b"])
def test_passwords_that_nobody_could_log_in_with_are_refused(password: str) -> None:
    with pytest.raises(EditError, match="the password must not"):
        hash_password(password)
