"""`python -m dmsinit.base.append`: write log files on a file system that may hang; a child of PID 1, which must not.

Standard input is a socket (SOCK_SEQPACKET). A packet is a path, a zero byte, and what to append to that file. Each is
answered with the number of bytes of it that were lost (a 64-bit number), when it is written. The end of the packets
is the end of this process.
"""

import os
import socket
import struct
import sys
from typing import Final

from dmsinit.base.logfile import LogFile

ANSWER: Final = struct.Struct("=Q")
PACKET_BYTES: Final = 16 * 1024
"""With less than the smallest default of a socket's buffer, a packet always fits."""


def packet(path: str, data: bytes) -> bytes:
    """Return a packet; `data` is at most PACKET_BYTES long."""
    return os.fsencode(path) + b"\0" + data


def main() -> int:
    """Write until the other end is closed."""
    files: dict[bytes, LogFile] = {}
    with socket.socket(fileno=os.dup(0)) as told:
        while received := told.recv(2 * PACKET_BYTES):
            path, _, data = received.partition(b"\0")
            file = files.setdefault(path, LogFile(os.fsdecode(path)))
            lost = file.bytes_lost
            file.write(data)
            try:
                told.send(ANSWER.pack(file.bytes_lost - lost))
            except BrokenPipeError:  # a successor of PID 1's code does not listen to it; what is here is written
                continue
    return 0


if __name__ == "__main__":
    sys.exit(main())
