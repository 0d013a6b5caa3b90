"""A data set by its folder, whichever it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from longvideoagent.datasets import video_sets
from longvideoagent.datasets.dataset import DataSet
from longvideoagent.datasets.longtvqa.read import read_longtvqa

_MARKS: tuple[tuple[str, Callable[[Path, str], DataSet]], ...] = (
    ("LongTVQA*", read_longtvqa),
    ("lvb_*.json", video_sets.read_longvideobench),
    ("video_info.meta.jsonl", video_sets.read_lvbench),
    ("questions.json", video_sets.read_egoschema),
    ("json/*.json", video_sets.read_mlvu),
    ("videomme.json", video_sets.read_videomme),
    ("**/*.parquet", video_sets.read_videomme),
    ("*.csv", video_sets.read_nextqa),
)
"""The file that each set is known by."""


def open_dataset(folder: str | Path, split: str = "val") -> DataSet:
    """Read one split of the data set in a folder, known by its files. ``split`` is a group of durations for
    Video-MME (short, medium, long, all) and subset or all for EgoSchema; MLVU and LVBench have one. Raises
    DataError where there is no data set, or not that split."""
    folder = Path(folder)
    for mark, read in _MARKS:
        if any(folder.glob(mark)):
            return read(folder, split)
    return read_longtvqa(folder, split)
