"""What a configuration names is opened the way the daemons will, before they are told to use it."""
