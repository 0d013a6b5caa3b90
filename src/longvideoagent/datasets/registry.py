"""All data sets that can be read, and the one function that opens any of them.

To add a data set: write its reader in a file of ``sets/`` and add a row to ``DATASETS``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from longvideoagent.datasets.base import Dataset
from longvideoagent.datasets.longtvqa.read import read_longtvqa
from longvideoagent.datasets.sets.egoschema import read_egoschema
from longvideoagent.datasets.sets.longvideobench import read_longvideobench
from longvideoagent.datasets.sets.lvbench import read_lvbench
from longvideoagent.datasets.sets.mlvu import read_mlvu
from longvideoagent.datasets.sets.nextqa import read_nextqa
from longvideoagent.datasets.sets.videomme import find_videomme, read_videomme
from longvideoagent.errors import DataError


@dataclass(frozen=True, slots=True)
class DatasetFormat:
    """One supported data set: how its folder is recognised and how it is read."""

    name: str
    markers: tuple[str, ...]
    """Glob patterns. A folder with a file that matches one of them has this format."""
    read: Callable[[Path, str], Dataset]
    """Reads one split of a folder. Raises DataError for an unknown split."""
    splits: tuple[str, ...]
    """The usual names of splits; empty if they are the names of the annotation files."""
    find_files: Callable[[Path], list[Path]] | None = None
    """Finds the annotation files if their names alone do not identify the set, else None."""

    def matches(self, folder: Path) -> bool:
        """Whether the folder holds this data set."""
        if self.find_files is not None:
            return bool(self.find_files(folder))
        return any(any(folder.glob(marker)) for marker in self.markers)


DATASETS: tuple[DatasetFormat, ...] = (
    DatasetFormat("LongTVQA", ("LongTVQA*",), read_longtvqa, ("train", "val", "test")),
    DatasetFormat("LongVideoBench", ("lvb_*.json",), read_longvideobench, ("val", "test")),
    DatasetFormat("LVBench", ("video_info.meta.jsonl",), read_lvbench, ("val",)),
    DatasetFormat("EgoSchema", ("questions.json",), read_egoschema, ("subset", "all")),
    DatasetFormat("MLVU", ("json/*.json", "MLVU/json/*.json"), read_mlvu, ("val",)),
    DatasetFormat(
        "Video-MME",
        ("videomme.json", "*.parquet", "*/*.parquet"),
        read_videomme,
        ("short", "medium", "long", "all"),
        find_videomme,
    ),
    DatasetFormat("NExT-QA", ("*.csv",), read_nextqa, ()),
)
"""The first row that matches a folder reads it, so a more specific marker comes before a general one."""


def open_dataset(folder: str | Path, split: str = "val") -> Dataset:
    """Read one split of the data set in a folder, which is recognised by its files.

    Args:
        folder: The folder of the data set.
        split: A name of a split, see ``DatasetFormat.splits``.

    Raises:
        DataError: If the folder holds no known data set, or not that split.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: not a folder; give the one that holds the questions and subtitles")
    for dataset_format in DATASETS:
        if dataset_format.matches(folder):
            return dataset_format.read(folder, split)
    known = "; ".join(f"{row.name}: {' or '.join(row.markers)}" for row in DATASETS)
    raise DataError(f"{folder}: not a known data set; give a folder with the files of one ({known})")
