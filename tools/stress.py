#!/usr/bin/env python3
"""Run tests again and again on a machine that is busy, until one fails: stress.py TIMES [ARGUMENT OF PYTEST …]

Two busy loops per processor take most of its time. Exit codes: 0, or that of the first run that failed.
"""

import os
import subprocess
import sys
from contextlib import ExitStack
from typing import Final

LOOPS_PER_PROCESSOR: Final = 2
LOOP: Final = ("python3", "-c", "while True: pass")


def main(times: int, arguments: list[str]) -> int:
    with ExitStack() as stack:
        for _ in range(LOOPS_PER_PROCESSOR * (os.cpu_count() or 1)):
            stack.callback(subprocess.Popen(LOOP, stdin=subprocess.DEVNULL).kill)
        for number in range(1, times + 1):
            print(f"\n== run {number} of {times}", flush=True)
            done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-x", *arguments], stdin=subprocess.DEVNULL)
            if done.returncode:
                print(f"run {number} of {times} failed: the test is named above")
                return done.returncode
    print(f"no test failed in {times} runs")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
    except KeyboardInterrupt:
        sys.exit(130)
