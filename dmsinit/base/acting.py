"""Acting as another user for a while: the kernel then refuses whatever that user could not do."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def acting_as(uid: int, gid: int) -> Iterator[None]:
    """Open, make, rename and remove files as a user and a group, nothing else; without the right to, as before.

    Only the effective ids change, so that no process of that user can send signals to this one or trace it.
    """
    if os.geteuid() != 0 or uid == 0:
        yield
        return
    groups, own_gid = os.getgroups(), os.getegid()
    os.setgroups([])
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(own_gid)
        os.setgroups(groups)
