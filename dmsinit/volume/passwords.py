"""Hash passwords for Dovecot as SHA512-CRYPT (crypt(5), https://www.akkadia.org/drepper/SHA-crypt.txt).

libcrypt hashes inside this process, with the very function that Dovecot checks with: a password never stands in an
argument list, an environment or a pipe.
"""

import ctypes
import os
import secrets
from typing import Final

from dmsinit.volume.errors import EditError

MAX_BYTES: Final = 511
"""libxcrypt refuses longer passphrases (CRYPT_MAX_PASSPHRASE_SIZE - 1), so logins would fail with one."""

_LIBRARIES: Final = ("libcrypt.so.1", "libcrypt.so.2")
_SALT_CHARACTERS: Final = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SALT_LENGTH: Final = 16


def hash_password(password: str) -> str:
    """Return `{SHA512-CRYPT}$6$salt$hash` of a password; raises EditError when it is empty or too long."""
    secret = os.fsencode(password)
    if not secret:
        raise EditError("the password must not be empty")
    if b"\0" in secret or len(secret) > MAX_BYTES:
        raise EditError(f"the password must not be longer than {MAX_BYTES} bytes nor hold a NUL")
    salt = "".join(secrets.choice(_SALT_CHARACTERS) for _ in range(_SALT_LENGTH))
    return "{SHA512-CRYPT}" + _crypt(secret, f"$6${salt}$")


def _crypt(secret: bytes, setting: str) -> str:
    crypt = _library().crypt
    crypt.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
    crypt.restype = ctypes.c_char_p
    result: bytes | None = crypt(secret, setting.encode())
    if result is None or not result.startswith(setting.encode()):
        raise EditError("cannot hash the password: libcrypt does not know SHA512-CRYPT; install libxcrypt")
    return result.decode()


def _library() -> ctypes.CDLL:
    for name in _LIBRARIES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise EditError(f"cannot hash the password: none of {', '.join(_LIBRARIES)} is installed; install libcrypt1")
