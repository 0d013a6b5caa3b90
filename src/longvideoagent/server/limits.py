"""Limits of what a client of the server may ask for."""

MAX_ROUNDS = 20
MAX_OPTIONS = 26
