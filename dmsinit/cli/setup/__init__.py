"""`setup`: edit the config volume from the command line; one verb per file."""
