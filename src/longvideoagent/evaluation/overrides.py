"""The overrides of a configuration as agents that wrap the team's own: the source of the first clip, gold boxes, and
the paper's baselines. This is the only place where an agent can get gold."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, assert_never

from longvideoagent.agents.base import Team, Vision
from longvideoagent.agents.config import REASONING_REPLY_TOKENS
from longvideoagent.agents.fixed_first_clip import with_first_clip
from longvideoagent.agents.master import ModelMaster
from longvideoagent.agents.tool_master import ToolMaster
from longvideoagent.core.context import master_prompt, question_fields
from longvideoagent.core.layout import PromptLayout, fill
from longvideoagent.core.rollout import VisionRequest
from longvideoagent.core.types import Clip, Jpeg, Message, Reply, Timeline, Usage, VisionResult
from longvideoagent.datasets.base import Dataset
from longvideoagent.datasets.gold import Box, Sample
from longvideoagent.errors import DataError, UsageError
from longvideoagent.evaluation.config import EvalConfig, FirstClipSource, load_first_clips
from longvideoagent.index.first_clips import FirstClips
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.media.readers.frame_folder import TVQA_FRAMES_PER_S
from longvideoagent.media.video import Video
from longvideoagent.models.base import DEFAULT_CALL_SETTINGS, CallSettings, Model, TextCallback

MAX_BASELINE_FRAMES = 16
"""Middle frames of clips, shown at once (paper: up to 16)."""
MIN_REASONING_REPLY_TOKENS = 4096
"""With a lower limit, replies of a master that thinks may be cut inside their thoughts."""


@dataclass(frozen=True, slots=True)
class GoldBoxVision:
    """Vision that gets the gold boxes of the clips it looks at, and repeats them in its result."""

    boxes: Sequence[Box]
    agent: Vision
    layout: PromptLayout
    are_merged: bool = False
    """Whether they are those of all questions; the public code keeps these as floating-point numbers."""

    async def look(self, request: VisionRequest, video: VideoReader) -> VisionResult:
        """The result of the vision agent, which gets the gold boxes of the clips."""
        text = write_boxes(self.boxes, request.window, self.layout, as_floats=self.are_merged)
        result = await self.agent.look(replace(request, boxes=text), video)
        return replace(result, boxes=text)


def write_boxes(boxes: Sequence[Box], window: Sequence[Clip], layout: PromptLayout, *, as_floats: bool = False) -> str:
    """Write the boxes of a window as the layout has them; empty if there are none."""
    by_frame: dict[tuple[str, int], list[Box]] = {}
    for clip in window:
        for box in boxes:
            if clip.start_s <= box.time_s < clip.end_s:
                number = round((box.time_s - clip.start_s) * TVQA_FRAMES_PER_S) + 1
                by_frame.setdefault((clip.label, number), []).append(box)
    number_type = float if as_floats else int
    frames = sorted(by_frame.items(), key=lambda item: item[0][1]) if len(window) == 1 else list(by_frame.items())
    if layout.boxes_as_json:
        rows: dict[str, list[list[object]]] = {}
        for (_, number), each in frames:  # in a window of several clips, a number may occur in each of them
            rows.setdefault(str(number), []).extend(
                [*map(number_type, (box.left, box.top, box.width, box.height)), box.label] for box in each
            )
        return json.dumps(rows) if rows else ""
    lines = []
    for (_, number), each in frames:
        if layout.box_frame:
            lines.append(fill(layout.box_frame, frame=number, time_s=f"{each[0].time_s:.1f}"))
        lines += [
            fill(
                layout.box,
                label=box.label,
                left=number_type(box.left),
                top=number_type(box.top),
                width=number_type(box.width),
                height=number_type(box.height),
                frame=number,
                time_s=f"{box.time_s:.1f}",
            )
            for box in each
        ]
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class FramesInPromptModel:
    """A model that gets frames of a video with its first message: the baseline of subtitles and frames."""

    model: Model
    video: Video

    async def complete(
        self,
        messages: Sequence[Message],
        settings: CallSettings = DEFAULT_CALL_SETTINGS,
        on_text: TextCallback | None = None,
    ) -> Reply:
        """The model's reply. Raises DataError for a video without frames."""
        images = await asyncio.to_thread(middle_frames, self.video)
        if not images:
            raise DataError(f"{self.video.reader.path}: has no frame to show; get its frames, or ask without them")
        first, *others = messages
        with_images = Message(role="user", content=(*images, str(first["content"])))
        reply = await self.model.complete([with_images, *others], settings, on_text)
        return replace(reply, usage=reply.usage + Usage(images=len(images)))

    async def close(self) -> None:
        """Close the model."""
        await self.model.close()


class _FirstClip(NamedTuple):
    label: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class EvalOverrides:
    """Applies a configuration's overrides to the team, question by question."""

    config: EvalConfig
    data: Dataset
    layout: PromptLayout
    """The wording of the gold boxes; read once, since a file of a layout is opened for it."""
    first_clips: FirstClips | None = None
    warnings: tuple[str, ...] = ()
    """To be shown before any question is asked."""
    wording_warnings: tuple[str, ...] = ()
    """Those of ``warnings`` that are to be shown next to every number, too."""

    @classmethod
    def from_config(cls, config: EvalConfig, data: Dataset, samples: Sequence[Sample]) -> EvalOverrides:
        """The overrides of a configuration. Raises UsageError or DataError for one that the data do not support."""
        if config.first_clip is FirstClipSource.GOLD and any(sample.gold.clip is None for sample in samples):
            raise UsageError(f"--first-clip gold: some questions of {data.name} have no gold clip")
        first_clips = load_first_clips(config, samples)
        wording = config.wording_warnings(data.name)
        missing = _missing_first_clips(first_clips, samples)
        warnings = (*wording, *_short_replies(config), *missing, *_check_frames(config, data, samples))
        layout = config.team_config.read_layout()
        _check_options(config, layout, samples)
        return cls(config, data, layout, first_clips, warnings, wording)

    def team_for(self, sample: Sample, video: Video, team: Team) -> Team:
        """The team for one question."""
        first = self._first_clip(sample, video.timeline)
        if first is not None:
            team = replace(team, grounding=with_first_clip(team.grounding, first.label, first.reason))
        if self.config.gold_boxes:
            merged = self.config.protocol.merged_boxes
            team = replace(team, vision=GoldBoxVision(sample.gold.boxes, team.vision, self.layout, merged))
        master = team.master.tag_master if isinstance(team.master, ToolMaster) else team.master
        if self.config.baseline == "subtitles+frames" and isinstance(master, ModelMaster):
            team = replace(team, master=replace(master, model=FramesInPromptModel(master.model, video)))
        return team

    def _first_clip(self, sample: Sample, timeline: Timeline) -> _FirstClip | None:
        match self.config.first_clip:
            case FirstClipSource.AGENT:
                return None
            case FirstClipSource.FILE:
                assert self.first_clips is not None
                if sample.question not in self.first_clips:
                    return None
                return _FirstClip(self.first_clips.find(sample.question, timeline), "located in advance")
            case FirstClipSource.GOLD:
                return _FirstClip(sample.gold.clip, "given")
            case FirstClipSource.RANDOM:
                label = random.Random(sample.question.id).choice(timeline.clips).label
                return _FirstClip(label, "drawn at random")
            case _:
                assert_never(self.config.first_clip)


def _check_options(config: EvalConfig, layout: PromptLayout, samples: Sequence[Sample]) -> None:
    """Raise DataError if a prompt of the layout has no place for an option of a question."""
    question = max((sample.question for sample in samples), key=lambda each: len(each.options))
    if not config.team_config.master.spec.is_offline:
        question_fields(question, layout, master_prompt(layout, config.settings.agents))
    if config.settings.has_grounding and not config.team_config.grounding.spec.is_offline:
        for prompt in (layout.grounding_prompt, layout.regrounding_prompt):
            question_fields(question, layout, prompt)


def _short_replies(config: EvalConfig) -> tuple[str, ...]:
    """A warning about a limit of the master's replies that leaves little room for its thoughts."""
    master, limit = config.team_config.master, config.team_config.call_settings("master").max_tokens
    if not master.reasoning or limit >= MIN_REASONING_REPLY_TOKENS:
        return ()
    problem = f"the master {master.spec.name} thinks, and its replies may be cut at {limit:,} tokens, thoughts included"
    return (f"{problem}; give --max-reply-tokens {REASONING_REPLY_TOKENS}",)


def _missing_first_clips(first_clips: FirstClips | None, samples: Sequence[Sample]) -> tuple[str, ...]:
    """A warning about questions that a cache of the public code lacks."""
    num_missing = 0 if first_clips is None else sum(sample.question not in first_clips for sample in samples)
    if first_clips is None or not num_missing:
        return ()
    located = f"has a clip for {len(samples) - num_missing} of {len(samples)} questions"
    return (f"{first_clips.path}: {located}; the grounding agent locates the others",)


def _check_frames(config: EvalConfig, data: Dataset, samples: Sequence[Sample]) -> tuple[str, ...]:
    """Refuse a baseline without any frame, and return a warning about clips without frames."""
    is_baseline = config.baseline == "subtitles+frames"
    if is_baseline and config.team_config.master.spec.is_offline:
        raise UsageError(
            "--baseline subtitles+frames needs a master that sees; give -m SPEC or --master SPEC, such as openai:NAME"
        )
    if not (is_baseline or config.settings.has_vision):
        return ()
    clips = data.count_clips(dict.fromkeys(sample.video for sample in samples))
    if not clips.without_frames:
        return ()
    has_none = clips.without_frames == clips.total
    missing = (
        "no frames of the videos asked about"
        if has_none
        else f"no frames of {clips.without_frames:,} of {clips.total:,} clips"
    )
    problem, fix = f"{config.data}: has {missing}", "put them in its folder frames"
    if is_baseline and has_none:
        raise UsageError(f"{problem}; {fix}, or give --baseline subtitles")
    if is_baseline:
        return (f"{problem}, which are not shown; {fix}",)
    return (f"{problem}, so vision sees nothing{'' if has_none else ' there'}; {fix}, or give --agents grounding",)


def middle_frames(video: Video) -> tuple[Jpeg, ...]:
    """The middle frames of up to ``MAX_BASELINE_FRAMES`` clips, evenly spread, in order."""
    clips = video.timeline.clips
    count = min(MAX_BASELINE_FRAMES, len(clips))
    chosen = [clips[int((index + 0.5) * len(clips) / count)] for index in range(count)]
    frames = video.reader.frames([(clip.start_s + clip.end_s) / 2 for clip in chosen])
    return tuple(Jpeg(frame.jpeg()) for frame in frames if frame.is_complete())
