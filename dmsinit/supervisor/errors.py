"""What can go wrong when somebody operates on a service; the messages are for people."""

from collections.abc import Iterable, Sequence

EXCERPT_LINES = 20
"""How many of a service's last log lines a failure carries: enough to see the cause without a second command."""


class NoSuchService(Exception):
    """No service of the plan has this name; `suggestion` is the name that was probably meant, or empty."""

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        self.name = name
        self.suggestion = _nearest(name, known)
        hint = f"; did you mean {self.suggestion}?" if self.suggestion else "; `dmsctl status` lists all services"
        super().__init__(f"no service is called {name}{hint}")


class OperationFailed(Exception):
    """An operation on a service did not reach its goal.

    The message reads *cannot <verb> <service>: <cause>; <what to do>*. `log_lines` are the last lines that the service
    logged, oldest first.
    """

    def __init__(self, message: str, *, log_lines: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.log_lines = tuple(log_lines[-EXCERPT_LINES:])


def _nearest(name: str, known: Iterable[str]) -> str:
    import difflib  # rare, and PID 1 should not carry it from the start

    return next(iter(difflib.get_close_matches(name, known, n=1)), "")
