"""The package's logger, ``longvideoagent``: retries, repairs of replies and cache faults.

Silent until the application adds a handler. WARNING means that someone waits or loses something; INFO is the rest.
"""

from __future__ import annotations

import logging

logger = logging.getLogger("longvideoagent")
logger.addHandler(logging.NullHandler())
