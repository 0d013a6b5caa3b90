"""Rows with the columns of the public code's Parquet converter, about the release of ``tests.fakes.release``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.fakes.release import CLIPS, TEXTS

CHOICES = {"0": "A saw", "1": "A kite", "2": "A lantern", "3": "A rope", "4": ""}


def public_row(number: int = 0, **info: Any) -> dict[str, Any]:
    """One row: the lantern is a2, grounding found the clip before, and the fifth option is empty."""
    text = f"What does Otto hold in scene {number} ?"
    return {
        "prompt": [{"role": "user", "content": f"Rules. {text}\n{TEXTS[CLIPS[0]]}"}],
        "data_source": "tvqa_plus_vision",
        "reward_model": {"ground_truth": "a2", "one_turn": False},
        "extra_info": {
            "vid_name": CLIPS[0],
            "video_id": CLIPS[1],
            "original_question": text,
            "choices": dict(CHOICES),
            "episode_sub_block": "".join(f"<{clip}>{TEXTS[clip]}</{clip}>" for clip in CLIPS[:3]),
        }
        | info,
    }


def write_public_rows(path: Path, count: int = 4) -> Path:
    """A Parquet file of such rows."""
    pq.write_table(pa.Table.from_pylist([public_row(number) for number in range(count)]), path)
    return path
