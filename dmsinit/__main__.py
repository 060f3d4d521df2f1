"""`dmsinit`: PID 1 without an argument, `dmsinit render …` the one-shot child that writes the configuration.

Signal handlers come before any other import: the kernel drops TERM for a PID 1 that has none.
"""

import os
import signal
import sys

early_signals: list[int] = []
"""TERM and INT that came before the event loop could take them."""

if sys.argv[1:2] != ["render"]:  # which is a child like any other, and ends when it is told to
    for _number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(_number, lambda number, _frame: early_signals.append(number))

import time  # noqa: E402


def main() -> int:
    arguments = sys.argv[1:]
    if "TZ" in os.environ:
        from dmsinit.base.literal import settle_time_zone

        settle_time_zone()  # before the first line of the log, and for all children
    if arguments[:1] == ["render"]:
        return _render(arguments[1:])
    if arguments == ["--handover-version"]:
        return _print_handover_version()
    if arguments and arguments[0].startswith("--take-over="):
        return _take_over(int(arguments[0].partition("=")[2]))
    if arguments:
        sys.stderr.write("usage: dmsinit            run the mail server (as PID 1 of a container)\n")
        sys.stderr.write("       dmsinit render …   write the configuration; see dmsinit render --help\n")
        return 2
    began = _process_began()
    from dmsinit.base.inotify import open_instance
    from dmsinit.base.spawn import start_render

    instance = open_instance()
    rendering = start_render("--boot", instance)  # first, so that it works while the rest is imported
    from dmsinit.pid1.init import run

    return run(rendering, instance, began=began, early_signals=early_signals)


def _render(arguments: list[str]) -> int:
    """Run `dmsinit render`, a process that lives for moments: looking for garbage in it costs more than the garbage."""
    import gc
    from contextlib import suppress

    gc.disable()
    from dmsinit.render.main import main

    code = main(arguments)
    with suppress(BrokenPipeError):  # whoever reads has gone
        sys.stdout.flush()
    os._exit(code)  # taking the interpreter apart takes a tenth of the time that the work takes


def _print_handover_version() -> int:
    """Show that this code starts, and whose successor it can be (`dmsctl reexec` asks before it is executed)."""
    import dmsinit.pid1.init  # noqa: F401 - all that PID 1 needs
    from dmsinit.pid1.succession import VERSION

    sys.stdout.write(f"{VERSION}\n")
    return 0


def _take_over(fd: int) -> int:
    """Go on as PID 1 where the program before us in this process stood."""
    from dmsinit.base.inotify import open_instance
    from dmsinit.pid1 import init, succession

    record = succession.read(fd)
    os.close(fd)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, succession.HANDED_SIGNALS)
    return init.run(record, open_instance(), began=record.began, early_signals=early_signals)


def _process_began() -> float:
    """Return when this process was started, on the monotonic clock (proc_pid_stat(5), field 22; ticks of 10 ms)."""
    with open("/proc/self/stat", "rb") as stat:
        ticks = int(stat.read().rsplit(b")", 1)[1].split()[19])
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.monotonic() - max(age, 0.0)


if __name__ == "__main__":
    sys.exit(main())
