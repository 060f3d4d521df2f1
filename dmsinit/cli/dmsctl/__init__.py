"""`dmsctl`: see and operate what runs in this container; one verb per file, listed in `main`."""
