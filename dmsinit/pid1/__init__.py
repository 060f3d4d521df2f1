"""PID 1 itself: boot, watch, converge, stop, and what the control socket and the metrics see of it."""
