"""Rows of the public training code's Parquet files: columns ``prompt``, ``data_source``, ``reward_model`` and
``extra_info``.

``extra_info`` has the first clip (``vid_name``), the clip that the question is about (``video_id``), the question
(``original_question``) and the options (``choices``, by "0" to "4"). The converter draws three of the four wrong
options, shuffles them with the correct one, and leaves the fifth option empty; it stays here, since the prompt that
the released checkpoints read shows it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from longvideoagent.core.types import Question
from longvideoagent.datasets.longtvqa.clips import ClipName
from longvideoagent.datasets.records import Problem, Record
from longvideoagent.errors import DataError

OPTION_NAMES = tuple(str(index) for index in range(5))
ID_DIGITS = 10


class InvalidRowError(DataError):
    """A row that is not valid; ``problem`` says where and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem}; convert the questions again, or use lva data export")
        self.problem = problem


class PublicRow(NamedTuple):
    """What a row holds besides its prompt."""

    question: Question
    gold_option: int
    video: str
    """The episode of both clips."""
    first_clip: str
    clip: str
    """The clip that the question is about."""


def is_public_row(values: Mapping[str, Any]) -> bool:
    """Whether a row was written by the public converter, and not by ``lva data export``."""
    info = values.get("extra_info")
    return isinstance(info, Mapping) and "original_question" in info


def is_exported_row(values: Mapping[str, Any]) -> bool:
    """Whether a row was written by ``lva data export``."""
    info = values.get("extra_info")
    return isinstance(info, Mapping) and info.get("qid") is not None


def read_public_row(record: Record) -> PublicRow:
    """The question of a row. Its id is the clip that it is about and a digest, since the rows have none. Raises
    InvalidRowError, which names the record and the field."""
    if not is_public_row(record.values):
        raise _invalid(record, "extra_info", "has no original_question")
    info = record.values["extra_info"]
    first_clip = info.get("vid_name")
    clip = info.get("video_id") or first_clip
    episode = _episode(record, "vid_name", first_clip)
    if _episode(record, "video_id", clip) != episode:
        raise _invalid(record, "extra_info.vid_name", f"{first_clip} is of another episode than video_id, {clip}")
    choices = info.get("choices")
    if not isinstance(choices, Mapping) or any(not isinstance(choices.get(name), str) for name in OPTION_NAMES):
        raise _invalid(record, "extra_info.choices", 'not the five texts "0" to "4"')
    text = info["original_question"]
    if not isinstance(text, str) or not text.strip():
        raise _invalid(record, "extra_info.original_question", "not a text, or empty")
    text = text.strip()
    options = tuple(choices[name] for name in OPTION_NAMES)
    digest = hashlib.sha256("\n".join([text, *options]).encode("utf-8", "surrogatepass")).hexdigest()[:ID_DIGITS]
    question = Question(text, options, f"{clip}-{digest}")
    return PublicRow(question, _gold_option(record, options), episode, first_clip, clip)


def _episode(record: Record, field: str, label: object) -> str:
    clip = ClipName.parse(label)
    if clip is None:
        raise _invalid(record, f"extra_info.{field}", f"{str(label)[:80]!r} is not the name of a clip")
    return clip.episode_name


def _gold_option(record: Record, options: tuple[str, ...]) -> int:
    reward_model = record.values.get("reward_model")
    label = str(reward_model.get("ground_truth", "")) if isinstance(reward_model, Mapping) else ""
    number = label.removeprefix("a")
    if number not in OPTION_NAMES or not options[int(number)]:
        raise _invalid(record, "reward_model.ground_truth", f"{label[:40]!r} is not one of its options")
    return int(number)


def _invalid(record: Record, field: str, message: str) -> InvalidRowError:
    return InvalidRowError(record.problem(field, message))
