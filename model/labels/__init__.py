"""Weak labels: derived from dense truth, or read from the user's own file."""
