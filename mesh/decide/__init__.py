"""Decisions made one at a time, while somebody waits for the answer."""
