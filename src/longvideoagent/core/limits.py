"""Defaults that commands and servers show. A module of its own, so that ``lva --help`` loads nothing else for them."""

DEFAULT_MAX_ROUNDS = 5
"""K, replies of the master (paper: 5)."""
