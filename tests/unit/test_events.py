"""Events in the index of a video, and queries for them."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from longvideoagent.core.types import Timeline
from longvideoagent.errors import DataError
from longvideoagent.index.event_labels import covering_labels, matching_labels
from longvideoagent.index.events import (
    MAX_EVENTS,
    Event,
    EventKind,
    EventSource,
    FoundEvents,
    find_events,
    read_events,
)
from longvideoagent.index.open import open_video
from longvideoagent.index.query import query_timeline
from longvideoagent.index.stored_text import read_steps
from longvideoagent.index.video_index import VideoIndex

pytestmark = pytest.mark.usefixtures("index_dir")
LABELS = ("Music", "Gunshot, gunfire", "Dog", "person", "cell phone", "hot dog", "cat")
