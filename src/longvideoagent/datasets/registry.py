"""All data sets that can be read, and the one function that opens any of them.

To add a data set: write its reader in a file of ``sets/`` and add a row to ``DATASETS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from longvideoagent.datasets.base import NO_OPTIONS, Dataset, DatasetOptions
from longvideoagent.datasets.longtvqa.read import find_question_files, has_gold_boxes, read_longtvqa
from longvideoagent.datasets.sets import lvbench, mlvu, public_rows, tvqa_long
from longvideoagent.datasets.sets.base import VideoDataset
from longvideoagent.datasets.sets.egoschema import read_egoschema
from longvideoagent.datasets.sets.longvideobench import read_longvideobench
from longvideoagent.datasets.sets.nextqa import read_nextqa
from longvideoagent.datasets.sets.videomme import find_videomme, read_videomme
from longvideoagent.errors import DataError, UsageError
from longvideoagent.media.text_encoding import check_encoding

MAX_FOLDERS = 200
"""Folders that are looked into for a data set, if the one that was given is not one."""


@dataclass(frozen=True, slots=True)
class DatasetFormat:
    """One supported data set: how its folder is recognised and how it is read."""

    name: str
    markers: tuple[str, ...]
    """Glob patterns. A folder with a file that matches one of them has this format."""
    read: Callable[[Path, str, DatasetOptions], Dataset]
    """Reads one split of a folder. Raises DataError for an unknown split."""
    splits: tuple[str, ...]
    """The usual names of splits; empty if they are the names of the annotation files."""
    find_files: Callable[[Path], list[Path]] | None = None
    """Finds the annotation files if their names alone do not identify the set, else None."""
    more_names: tuple[str, ...] = ()
    """Further names of ``--data-set`` that choose this format."""
    has_boxes: Callable[[Path, str, DatasetOptions], bool] | None = None
    """Whether a split of a folder has gold boxes, found without reading all of it; None: the set never has any."""

    def matches(self, folder: Path) -> bool:
        """Whether the folder holds this data set."""
        if self.find_files is not None:
            return bool(self.find_files(folder))
        return any(any(folder.glob(marker)) for marker in self.markers)


def _of_videos(read: Callable[[Path, str], VideoDataset]) -> Callable[[Path, str, DatasetOptions], Dataset]:
    """A reader that refuses ``--subtitles``, since its set has a subtitle file for each video, whose encoding may be
    given."""

    def read_set(folder: Path, split: str, options: DatasetOptions) -> Dataset:
        if options.subtitles is not None:
            raise UsageError(f"--subtitles {options.subtitles}: only for sets of clips such as LongTVQA; leave it out")
        encoding = None if options.encoding is None else check_encoding(options.encoding)
        return replace(read(folder, split), encoding=encoding)

    return read_set


def _of_clips(read: Callable[[Path, str, DatasetOptions], Dataset]) -> Callable[[Path, str, DatasetOptions], Dataset]:
    """A reader that refuses ``--encoding``, since the texts of its set are in JSON."""

    def read_set(folder: Path, split: str, options: DatasetOptions) -> Dataset:
        if options.encoding is not None:
            raise UsageError(f"--encoding {options.encoding}: only for subtitle files of videos; leave it out")
        return read(folder, split, options)

    return read_set


DATASETS: tuple[DatasetFormat, ...] = (
    DatasetFormat(
        "LongTVQA",
        ("LongTVQA*",),
        _of_clips(read_longtvqa),
        ("train", "val", "test"),
        find_question_files,
        ("LongTVQA_plus",),
        has_gold_boxes,
    ),
    DatasetFormat(tvqa_long.NAME, tvqa_long.MARKERS, _of_clips(tvqa_long.read_tvqa_long), ("val",)),
    # Their publishers add tables, which must not be read, and need an extra, to recognise them.
    DatasetFormat("LongVideoBench", ("lvb_*.json",), _of_videos(read_longvideobench), ("val", "test")),
    DatasetFormat("LVBench", lvbench.MARKERS, _of_videos(lvbench.read_lvbench), ("val",)),
    DatasetFormat("EgoSchema", ("questions.json",), _of_videos(read_egoschema), ("subset", "all")),
    DatasetFormat("MLVU", mlvu.MARKERS, _of_videos(mlvu.read_mlvu), ("val", "test"), mlvu.find_mlvu),
    DatasetFormat(
        public_rows.NAME,
        public_rows.MARKERS,
        _of_clips(public_rows.read_public_rows),
        ("train", "val"),
        public_rows.find_public_rows,
    ),
    DatasetFormat(
        "Video-MME",
        ("videomme.json", "*.parquet", "*/*.parquet"),
        _of_videos(read_videomme),
        ("short", "medium", "long", "all"),
        find_videomme,
    ),
    DatasetFormat("NExT-QA", ("*.csv",), _of_videos(read_nextqa), (), more_names=("NExT-GQA",)),
)
"""The first row that matches a folder reads it, so a more specific marker comes before a general one."""


def open_dataset(folder: str | Path, split: str = "val", options: DatasetOptions = NO_OPTIONS) -> Dataset:
    """Read one split of the data set in a folder, which is recognised by its files.

    Args:
        folder: The folder of the data set.
        split: A name of a split, see ``DatasetFormat.splits``.
        options: Which of several sets in the folder to read, a file of subtitles, and the encoding of those of videos.

    Raises:
        DataError: If the folder holds no known data set, or not that split.
        UsageError: For options that name no known set, or that the set does not take.
    """
    folder = Path(folder)
    try:
        is_folder = folder.is_dir()
    except OSError as error:  # such as a name that is too long
        raise DataError(f"{str(folder)[:80]}: cannot be read ({error.strerror}); check the path") from error
    if not is_folder:
        raise DataError(f"{folder}: not a folder; give the one that holds the questions and subtitles")
    formats = _selected_formats(options)
    if not formats:
        names = ", ".join(name for row in DATASETS for name in (row.name, *row.more_names))
        raise UsageError(f"--data-set {options.data_set}: not a known set; give one of {names}")
    for dataset_format in formats:
        if dataset_format.matches(folder):
            return dataset_format.read(folder, split, options)
    inner = next((path for path in _folders_below(folder) if _is_dataset(path, formats)), None)
    if inner is not None:
        raise DataError(f"{folder}: not a known data set, but {inner} is one; give that folder")
    rows = sorted(formats, key=lambda row: row.name.lower())
    known = "; ".join(f"{row.name}: {' or '.join(row.markers)}" for row in rows)
    raise DataError(f"{folder}: not a known data set; give a folder with the files of one ({known})")


def _is_dataset(folder: Path, formats: Iterable[DatasetFormat]) -> bool:
    """Whether a folder holds one of these sets, as far as can be found out."""
    try:
        return any(row.matches(folder) for row in formats)
    except (DataError, UsageError, OSError):
        return False


def _folders_below(folder: Path) -> Iterator[Path]:
    """The folders one and two levels below, those of one level first; not more than ``MAX_FOLDERS`` of a level."""
    level = [folder]
    for _ in range(2):
        level = list(islice((path for each in level for path in _folders_in(each)), MAX_FOLDERS))
        yield from level


def _folders_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:
        return []


def may_have_boxes(folder: Path, split: str, options: DatasetOptions = NO_OPTIONS) -> bool:
    """Whether one split of the data set in a folder has gold boxes, found without reading all of it; True if it cannot
    be found out, which ``open_dataset`` then reports."""
    row = next((row for row in _selected_formats(options) if row.matches(folder)), None)
    if row is None:
        return True
    try:
        return row.has_boxes is not None and row.has_boxes(folder, split, options)
    except DataError:
        return True


def _selected_formats(options: DatasetOptions) -> list[DatasetFormat]:
    return [row for row in DATASETS if any(map(options.selects, (row.name, *row.more_names)))]
