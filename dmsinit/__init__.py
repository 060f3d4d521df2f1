"""dmsinit: PID 1 of a mail server container."""

__version__ = "0.1.0"
