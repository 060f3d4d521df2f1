"""`python -m dmsinit.base.connect PATH`: connect to a Unix socket for PID 1; a one-shot child.

The path may be on a network mount that hangs, so that PID 1 must not look it up. Standard input is a socket of PID 1
(AF_UNIX), which gets the connected one (SCM_RIGHTS, unix(7)), or a packet with the number of an error.
"""

import os
import socket
import struct
import sys
from typing import Final

ERROR: Final = struct.Struct("=i")


def main(path: str) -> int:
    """Connect and hand the connection over."""
    with socket.socket(fileno=os.dup(0)) as asker, socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(path)
        except OSError as error:
            asker.send(ERROR.pack(error.errno or 0))
            return 1
        socket.send_fds(asker, [ERROR.pack(0)], [client.fileno()])
    return 0


def received(answer: socket.socket) -> socket.socket:
    """Return the connection that a child has sent; raise OSError as connect(2) does."""
    data, descriptors, _, _ = socket.recv_fds(answer, ERROR.size, 1, socket.MSG_CMSG_CLOEXEC)
    if descriptors:
        return socket.socket(fileno=descriptors[0])
    number = ERROR.unpack(data)[0] if len(data) == ERROR.size else 0
    raise OSError(number, os.strerror(number)) if number else ConnectionAbortedError("it was not looked up")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
