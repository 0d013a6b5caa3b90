"""The switches of a protocol, as agents around the team's own: where the first clip comes from, whether gold
boxes are told, and the paper's baselines. This is the only place where an agent can be handed gold."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from longvideoagent.agents.base import Grounding, Team, Vision
from longvideoagent.agents.master import ModelMaster
from longvideoagent.core.actions import Look
from longvideoagent.core.rollout import GroundingRequest, VisionRequest
from longvideoagent.core.types import GroundingResult, Jpeg, Message, Reply, Timeline, Usage, VisionResult
from longvideoagent.datasets.base import Dataset
from longvideoagent.datasets.gold import Box, Sample
from longvideoagent.datasets.longtvqa.read import LongTVQA
from longvideoagent.errors import DataError, UsageError
from longvideoagent.evaluation.config import EvalConfig
from longvideoagent.index.first_clips import FirstClips
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.media.video import Video
from longvideoagent.models.base import DEFAULTS, CallSettings, Model, TextCallback

BASELINE_FRAMES = 16
"""Middle frames of clips, shown at once (paper: up to 16)."""


@dataclass(frozen=True, slots=True)
class FixedFirstClip:
    """Grounding whose first clip is given; the agent itself is asked from the second on."""

    label: str | None
    reason: str
    agent: Grounding

    async def locate(self, request: GroundingRequest, video: VideoReader) -> GroundingResult:
        """See the class."""
        if request.trace.first_grounding is None:
            return GroundingResult(self.label, self.reason)
        return await self.agent.locate(request, video)


@dataclass(frozen=True, slots=True)
class GoldBoxVision:
    """Vision that is told the gold boxes of the clips it looks at, and tells them on."""

    boxes: Sequence[Box]
    agent: Vision

    async def look(self, request: VisionRequest, video: VideoReader) -> VisionResult:
        """See the class."""
        start_s, end_s = request.clips[0].start_s, request.clips[-1].end_s
        shown = [box for box in self.boxes if start_s <= box.time_s < end_s]
        if not shown:
            return await self.agent.look(request, video)
        told = "Marked on the frames (left, top, width, height in pixels):\n" + "\n".join(
            f"- {box.time_s:.1f} s: {box.label} at {box.left}, {box.top}, {box.width}, {box.height}" for box in shown
        )
        seen = await self.agent.look(replace(request, action=Look(f"{request.action.query}\n{told}")), video)
        return replace(seen, text=f"{seen.text}\n{told}")


@dataclass(frozen=True, slots=True)
class FramesInPromptModel:
    """A model that is shown frames of an episode with its first message: the baseline of subtitles and frames."""

    model: Model
    episode: Video

    async def complete(
        self, messages: Sequence[Message], settings: CallSettings = DEFAULTS, on_text: TextCallback | None = None
    ) -> Reply:
        """The model's reply. Raises DataError where the episode has no frame to show."""
        pictures = await asyncio.to_thread(middle_frames, self.episode)
        if not pictures:
            raise DataError(f"{self.episode.video.path}: has no frame to show; get its frames, or ask without them")
        first, *others = messages
        shown = Message(role="user", content=(*pictures, str(first["content"])))
        reply = await self.model.complete([shown, *others], settings, on_text)
        return replace(reply, usage=reply.usage + Usage(images=len(pictures)))

    async def close(self) -> None:
        """Close the model."""
        await self.model.close()


@dataclass(frozen=True, slots=True)
class EvalOverrides:
    """The team as a protocol has it, made for each question."""

    protocol: EvalConfig
    data: Dataset
    cache: FirstClips | None = None
    warnings: tuple[str, ...] = ()
    """What a person should know before anything is asked."""

    @classmethod
    def of(cls, protocol: EvalConfig, data: Dataset, samples: Sequence[Sample]) -> EvalOverrides:
        """Raises UsageError or DataError where a switch cannot be had."""
        kind, _, file = protocol.first_clip.partition("=")
        if (kind, bool(file)) not in (("ground", False), ("random", False), ("gold", False), ("cache", True)):
            raise UsageError(f"--first-clip {protocol.first_clip}: give ground, random, gold or cache=FILE")
        if kind == "gold" and any(sample.gold.clip is None for sample in samples):
            raise UsageError(f"--first-clip gold: {data.name} does not tell the gold clip of every question")
        return cls(protocol, data, _read_first_clips(protocol, samples), _check_frames(protocol, data, samples))

    def team_for(self, sample: Sample, episode: Video, team: Team) -> Team:
        """The team for one question."""
        given = self._first(sample, episode.timeline)
        if given is not None:
            team = replace(team, grounding=FixedFirstClip(*given, team.grounding))
        if self.protocol.boxes:
            team = replace(team, vision=GoldBoxVision(sample.gold.boxes, team.vision))
        if self.protocol.baseline == "subtitles+frames" and isinstance(team.master, ModelMaster):
            team = replace(team, master=replace(team.master, model=FramesInPromptModel(team.master.model, episode)))
        return team

    def _first(self, sample: Sample, timeline: Timeline) -> tuple[str | None, str] | None:
        if self.cache is not None:
            return self.cache.find(sample.question, timeline), "found beforehand"
        match self.protocol.first_clip:
            case "gold":
                return sample.gold.clip, "given"
            case "random":
                return random.Random(sample.question.id).choice(timeline.clips).label, "drawn by chance"
            case _:
                return None


def _read_first_clips(protocol: EvalConfig, samples: Sequence[Sample]) -> FirstClips | None:
    if protocol.first_clips is None:
        return None
    path = protocol.first_clips
    cache = FirstClips.open_existing(path)
    missing = sum(sample.question not in cache for sample in samples)
    if missing:
        mend = f"lva data ground {protocol.data} --split {protocol.split} --out {path} finds them"
        raise DataError(f"{path}: {missing} of these questions have no clip; {mend}")
    return cache


def _check_frames(protocol: EvalConfig, data: Dataset, samples: Sequence[Sample]) -> tuple[str, ...]:
    """Refuse a baseline that has nothing to show, and warn of clips of which nothing can be seen."""
    shows = protocol.baseline == "subtitles+frames"
    if shows and protocol.team_config.master.spec.is_offline:
        raise UsageError("--baseline subtitles+frames needs a master that sees; give --master openai:NAME")
    unseen, count = _unseen_clips(data, samples) if shows or protocol.settings.vision else (0, 0)
    if not unseen:
        return ()
    what = "no frames of what is asked about" if unseen == count else f"no frames of {unseen:,} of {count:,} clips"
    told, mend = f"{protocol.data}: has {what}", "put them in its folder frames"
    if shows and unseen == count:
        raise UsageError(f"{told}; {mend}, or give --baseline subtitles")
    if shows:
        return (f"{told}, which are not shown; {mend}",)
    return (f"{told}, so vision sees nothing{'' if unseen == count else ' there'}; {mend}, or give --agents grounding",)


def _unseen_clips(data: Dataset, samples: Sequence[Sample]) -> tuple[int, int]:
    """Of how many clips that are asked about nothing can be seen, and how many there are. Other sets than LongTVQA
    are videos."""
    if not isinstance(data, LongTVQA):
        return 0, 0
    unseen = count = 0
    for video in dict.fromkeys(sample.video for sample in samples):
        clips = data.timeline(video).clips
        count += len(clips)
        if data.episode_video(video) is None:
            unseen += sum(data.frames is None or not (data.frames / clip.label).is_dir() for clip in clips)
    return unseen, count


def middle_frames(episode: Video) -> tuple[Jpeg, ...]:
    """The middle frame of up to ``BASELINE_FRAMES`` clips, spread evenly, in order."""
    clips = episode.timeline.clips
    count = min(BASELINE_FRAMES, len(clips))
    chosen = [clips[int((index + 0.5) * len(clips) / count)] for index in range(count)]
    frames = episode.video.frames([(clip.start_s + clip.end_s) / 2 for clip in chosen])
    return tuple(Jpeg(frame.jpeg()) for frame in frames if frame.is_complete())
