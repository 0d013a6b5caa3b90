"""Damaged and hostile inputs, made from seeds: ``make fuzz``.

Each input must end in a result or in one of the package's own errors, within the limits of ``tests.fuzz.__main__``.
"""
