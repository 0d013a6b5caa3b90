"""The ``lva`` command."""
