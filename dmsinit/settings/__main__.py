"""`python -m dmsinit.settings` prints docs/reference/environment.md."""

import sys

from dmsinit.settings.reference import page

if __name__ == "__main__":
    sys.stdout.write(page())
