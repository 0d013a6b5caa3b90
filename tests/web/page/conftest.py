"""One Chromium for the tests of this folder; it ends with them, because its event loop runs in the tests' thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.plugins.browser import chromium_tab

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(scope="package")
def tab() -> Iterator[Page]:
    """The tab that ``open_page`` uses."""
    with chromium_tab() as page:
        yield page
