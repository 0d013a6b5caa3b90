"""A random sample of the questions of a data set, and files of question ids, one a line.

A question is drawn by the digest of the seed and its id, so a sample does not depend on the order of the file, the
machine or the version of Python, and a sample of 100 questions is a part of the one of 300 with the same seed.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from longvideoagent.datasets.base import Dataset
from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.longtvqa.clips import ClipName
from longvideoagent.errors import DataError, UsageError, read_problem
from longvideoagent.fs import atomic_write_text

IDS_SUFFIX = ".txt"
COMMENT = "#"
"""The first character of a line of a file of ids that is not an id."""
MAX_IDS_SHOWN = 3


class GroupBy(StrEnum):
    """The groups that a sample is drawn from."""

    ALL = "all"
    SHOW = "show"
    KIND = "kind"
    VIDEO = "video"


def draw_samples(
    samples: Sequence[Sample], count: int, seed: int, group_by: GroupBy = GroupBy.ALL, *, proportional: bool = False
) -> list[Sample]:
    """Draw ``count`` samples of each group, or all of a smaller group; they keep their order. If ``proportional``,
    draw ``count`` in all, from each group in proportion to its size."""
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[_GROUP_KEY[group_by](sample)].append(sample)
    sizes = {name: len(group) for name, group in groups.items()}
    counts = _shares(sizes, count) if proportional else dict.fromkeys(sizes, count)
    drawn = {
        sample.question.id
        for name, group in groups.items()
        for sample in sorted(group, key=lambda sample: _rank(sample.question.id, seed))[: counts[name]]
    }
    return [sample for sample in samples if sample.question.id in drawn]


def describe_shortage(samples: Sequence[Sample], count: int, group_by: GroupBy) -> str:
    """That groups have fewer than ``count`` samples, on one line; empty if all have as many."""
    sizes = Counter(map(_GROUP_KEY[group_by], samples))
    num_small = sum(size < count for size in sizes.values())
    if group_by is GroupBy.ALL:
        if len(samples) == 1:
            return f"--count {count}: there is only 1 question, which is drawn" if num_small else ""
        return f"--count {count}: there are only {len(samples)} questions; all of them are drawn" if num_small else ""
    groups = f"{num_small} of {len(sizes)} groups by {group_by}"
    return f"--count {count}: {groups} have fewer questions; all of theirs are drawn" if num_small else ""


def _rank(question_id: str, seed: int) -> str:
    return hashlib.sha256(f"{seed} {question_id}".encode("utf-8", "surrogatepass")).hexdigest()


def _shares(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """``count`` divided in proportion to the sizes; what rounding down leaves goes to the largest remainders."""
    total = sum(sizes.values())
    count = min(count, total)
    shares = {name: count * size // total for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: (-(count * sizes[name] % total), name))
    for name in by_remainder[: count - sum(shares.values())]:
        shares[name] += 1
    return shares


def _show(sample: Sample) -> str:
    clip = ClipName.parse(sample.gold.clip)
    return clip.show if clip else ""


_GROUP_KEY: dict[GroupBy, Callable[[Sample], str]] = {
    GroupBy.ALL: lambda _: "",
    GroupBy.SHOW: _show,
    GroupBy.KIND: lambda sample: sample.kind,
    GroupBy.VIDEO: lambda sample: sample.video,
}


# --- files of question ids -----------------------------------------------------------------------


def write_ids(path: Path, samples: Sequence[Sample], comment: str) -> None:
    """Write the ids of these questions, one a line, after a line with the comment. Raises UsageError for a file that
    exists and for an id that is not a line."""
    if path.exists():
        raise UsageError(f"{path}: exists already; choose another --out")
    ids = [sample.question.id for sample in samples]
    unusable = [name for name in ids if name.strip() != name or len(name.splitlines()) != 1 or name[0] == COMMENT]
    if unusable:
        raise UsageError(f"{path}: the id {unusable[0][:80]!r} cannot be written as a line; give --out a folder")
    atomic_write_text(path, "".join(f"{line}\n" for line in (f"{COMMENT} {comment}", *ids)))


def read_ids(path: Path) -> tuple[str, ...]:
    """The ids of a file, in order; empty lines and comments are left out. Raises DataError for a file that cannot be
    read, has no id, or has one twice."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: cannot be read as question ids ({read_problem(error)}); check the path, and give one id a line"
        ) from error
    ids = [line for line in lines if line and not line.startswith(COMMENT)]
    if not ids:
        raise DataError(f"{path}: has no question id; give one a line, as lva data sample --out FILE.txt does")
    ((most_common, count),) = Counter(ids).most_common(1)
    if count > 1:
        raise DataError(f"{path}: has the id {most_common[:80]!r} {count} times; leave it once")
    return tuple(ids)


def select_samples(samples: Sequence[Sample], path: Path, split: str) -> list[Sample]:
    """The samples with the ids in a file, in the order of the data set. Raises DataError as ``read_ids``, and for ids
    that ``split``, whose samples these are, does not have."""
    ids = read_ids(path)
    wanted = set(ids)
    selected = [sample for sample in samples if sample.question.id in wanted]
    found = {sample.question.id for sample in selected}
    unknown = [name for name in ids if name not in found]
    if unknown:
        names = ", ".join(name[:80] for name in unknown[:MAX_IDS_SHOWN])
        more = f" and {len(unknown) - MAX_IDS_SHOWN} more" if len(unknown) > MAX_IDS_SHOWN else ""
        problem = f"no usable question of split {split!r} has the id {names}{more}"
        raise DataError(f"{path}: {problem}; check the file, or give another --split")
    return selected


def select_dataset(data: Dataset, path: Path, split: str) -> Dataset:
    """The data set with the samples of ``select_samples`` only."""
    return replace(data, samples=select_samples(data.samples, path, split))  # type: ignore[type-var]  # all are dataclasses
