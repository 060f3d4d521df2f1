"""Small programs that run in front of daemons, as children of PID 1: a room of its own that imports nothing of ours."""
