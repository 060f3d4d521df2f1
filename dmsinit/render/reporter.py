"""Saying things to PID 1: messages of dmsinit.render_protocol, one a line."""

import os
import sys

from dmsinit.render_protocol import Message, encode


class Reporter:
    """Writes messages to a descriptor, standard output by default."""

    def __init__(self, fd: int = 1) -> None:
        self._fd = fd

    def say(self, message: Message) -> None:
        """Write one message, whole."""
        data = encode(message) + b"\n"
        while data:
            data = data[os.write(self._fd, data) :]

    def await_line(self) -> None:
        """Wait until PID 1 writes a line, or closes its end."""
        sys.stdin.readline()
