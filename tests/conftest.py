"""What holds for all tests."""

import signal

# A shell without job control starts what runs in the background with SIGINT ignored, and children inherit that; the
# commands under test must see it as on a terminal.
signal.signal(signal.SIGINT, signal.default_int_handler)
