"""Staged files replace the installed ones; journal and rollback."""
