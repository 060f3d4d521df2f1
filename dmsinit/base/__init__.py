"""Leaves: facts about the kernel and operations on files that every other room may use. Imports nothing of ours."""
