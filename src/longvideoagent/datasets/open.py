"""A data set by its folder, whichever it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from longvideoagent.datasets import video_sets
from longvideoagent.datasets.base import DataSet
from longvideoagent.datasets.longtvqa.read import read_longtvqa


def _has(mark: str) -> Callable[[Path], bool]:
    return lambda folder: any(folder.glob(mark))


_SETS: tuple[tuple[Callable[[Path], object], Callable[[Path, str], DataSet]], ...] = (
    (_has("LongTVQA*"), read_longtvqa),
    (_has("lvb_*.json"), video_sets.read_longvideobench),
    (_has("video_info.meta.jsonl"), video_sets.read_lvbench),
    (_has("questions.json"), video_sets.read_egoschema),
    (_has("json/*.json"), video_sets.read_mlvu),
    (_has("MLVU/json/*.json"), video_sets.read_mlvu),
    (video_sets.find_videomme, video_sets.read_videomme),
    (_has("*.csv"), video_sets.read_nextqa),
)
"""What each set is known by."""


def open_dataset(folder: str | Path, split: str = "val") -> DataSet:
    """Read one split of the data set in a folder, known by its files. ``split`` is a group of durations for
    Video-MME (short, medium, long, all) and subset or all for EgoSchema; the one split of MLVU and of LVBench is
    called val. Raises DataError where there is no data set, or not that split."""
    folder = Path(folder)
    for is_it, read in _SETS:
        if is_it(folder):
            return read(folder, split)
    return read_longtvqa(folder, split)
