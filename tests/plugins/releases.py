"""A small data set in the layout of LongTVQA+."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.release import some_questions, write_release


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A LongTVQA+ folder with a dozen questions over two episodes."""
    return write_release(tmp_path / "data", some_questions(12))
