"""What an operation on services can fail with."""


class NoSuchService(Exception):
    """There is no service of that name; the message suggests a near one."""


class OperationFailed(Exception):
    """An operation did not reach its goal; the message says why and carries the service's last log lines."""
