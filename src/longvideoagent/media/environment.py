"""The environment of child processes that read files which others brought."""

from __future__ import annotations

import re
from collections.abc import Mapping

_SECRET_NAME = re.compile(r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)
"""Of variables such as ``OPENAI_API_KEY``."""


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that do not hold a secret by their names: a file that takes over a child could read them.

    What a child needs is not listed instead: loaders, locales, fonts and this project's own limits depend on variables
    that differ by system and installation, and one that was forgotten would break reading.
    """
    return {name: value for name, value in environment.items() if not _SECRET_NAME.search(name)}
