"""Limits of what a client of the server may ask for."""

MAX_ROUNDS = 20
MAX_OPTIONS = 26
MAX_NAME_CHARS = 500
"""Of a new name of an upload or a question."""
