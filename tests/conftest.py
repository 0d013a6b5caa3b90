"""Loads the plugins that hold the shared fixtures; import plain helpers from those modules."""

from __future__ import annotations

pytest_plugins = [
    "tests.plugins.browser",
    "tests.plugins.datasets",
    "tests.plugins.environment",
    "tests.plugins.lanes",
    "tests.plugins.media",
    "tests.plugins.models",
    "tests.plugins.releases",
    "tests.plugins.training",
    "tests.plugins.web_jobs",
    "tests.plugins.weights",
]
