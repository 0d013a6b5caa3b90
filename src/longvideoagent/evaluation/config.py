"""The configuration of a run: everything that decides its numbers, written next to them and compared on resuming."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from longvideoagent.agents.config import TeamConfig
from longvideoagent.agents.prompts import default_layout, with_prompt
from longvideoagent.agents.reader import READER_PROMPT
from longvideoagent.core.context import master_prompt
from longvideoagent.core.layout import ORIGIN_FIELDS, TOOL_FIELDS, PromptLayout, template_fields, tool_layout
from longvideoagent.core.trace import Agents, RolloutSettings
from longvideoagent.datasets.base import NO_OPTIONS, Dataset, DatasetOptions
from longvideoagent.datasets.first_clips import check_all_located, open_first_clips
from longvideoagent.datasets.gold import Box, Sample
from longvideoagent.datasets.registry import may_have_boxes, open_dataset
from longvideoagent.datasets.sampling import read_ids, select_samples
from longvideoagent.errors import DataError, UsageError
from longvideoagent.evaluation.protocols import PROTOCOLS, EvalProtocol, apply_to_settings, apply_to_team, make_protocol
from longvideoagent.evaluation.score import Scoring
from longvideoagent.evaluation.wording import OUR_WORDING, Wording
from longvideoagent.index.first_clips import FirstClips
from longvideoagent.models.secrets import render_spec
from longvideoagent.views.run_folder import VERSION, digest, sample_digests, sample_to_dict, without_secret_fields

OURS = PROTOCOLS["ours"]
Baseline = Literal["subtitles", "subtitles+frames"]
"""The paper's runs without agents: the whole episode's subtitles in one prompt, alone or with 16 frames."""


class FirstClipSource(StrEnum):
    """Where the first clip of a question comes from."""

    AGENT = "agent"
    """The grounding agent."""
    RANDOM = "random"
    GOLD = "gold"
    FILE = "file"
    """A file written by ``lva data ground``."""


@dataclass(frozen=True, slots=True)
class EvalConfig:
    """Which questions are asked, by which agents, with which overrides. Agents see gold only through ``first_clip`` and
    ``gold_boxes``."""

    data: Path
    split: str
    team_config: TeamConfig
    settings: RolloutSettings
    first_clip: FirstClipSource = FirstClipSource.AGENT
    first_clips_file: Path | None = None
    """The file of ``FirstClipSource.FILE``; None for other sources."""
    gold_boxes: bool = False
    """Whether vision gets the gold boxes with each look, as in the public evaluators."""
    baseline: Baseline | None = None
    ids_file: Path | None = None
    """The file with the ids of the questions; None for all of the set."""
    limit: int | None = None
    """The number of questions, from the first of these; None for all."""
    data_options: DatasetOptions = NO_OPTIONS
    protocol: EvalProtocol = OURS
    """In what the run differs from ours; already applied to ``team_config`` and ``settings``."""
    wording: Wording = OUR_WORDING
    """The layout that the team names; a protocol may have replaced its grounding prompt in ``team_config``."""

    @property
    def first_clip_option(self) -> str:
        """The value of ``--first-clip``."""
        return self.first_clip if self.first_clips_file is None else f"{self.first_clip}={self.first_clips_file}"

    @property
    def gold_inputs(self) -> tuple[str, ...]:
        """The overrides that give gold to the agents, to be printed next to every number."""
        return _describe_gold_inputs(
            self.first_clip,
            gold_boxes=self.gold_boxes,
            merged_boxes=self.protocol.merged_boxes,
            agents=self.settings.agents,
        )

    def wording_warnings(self, dataset: str) -> tuple[str, ...]:
        """Why the wording is not that of the public code, to be printed next to every number of this data set."""
        if all(agent.spec.is_offline for agent in self.team_config.agents.values()):
            return ()
        has_agents = self.settings.agents is not Agents.NONE
        return tuple(self.wording.warnings(self.protocol.name, dataset, has_agents=has_agents))


def gold_inputs_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """``EvalConfig.gold_inputs`` of a run's settings."""
    return _describe_gold_inputs(
        config["first_clip"],
        gold_boxes=config["gold_boxes"],
        merged_boxes=(config.get("protocol") or {}).get("merged_boxes", False),
        agents=config["settings"]["agents"],
    )


def scoring_of(config: Mapping[str, Any]) -> Scoring:
    """How a run's answers are scored, from its settings."""
    scoring: Scoring = (config.get("protocol") or {}).get("scoring", OURS.scoring)
    return scoring


def _describe_gold_inputs(first_clip: str, *, gold_boxes: bool, merged_boxes: bool, agents: str) -> tuple[str, ...]:
    """Each way in which these overrides give gold to the agents; one that no agent of the run reads does not count."""
    sees = gold_boxes and agents == Agents.GROUNDING_VISION
    overrides = {
        _GOLD_FIRST_CLIP: first_clip == FirstClipSource.GOLD and agents != Agents.NONE,
        _GOLD_BOXES: sees and not merged_boxes,
        _MERGED_BOXES: sees and merged_boxes,
    }
    return tuple(description for description, is_active in overrides.items() if is_active)


_GOLD_FIRST_CLIP = "the first clip is the gold clip"
_GOLD_BOXES = "vision gets the gold boxes"
_MERGED_BOXES = "vision gets the gold boxes of all questions about a clip"
_LEAK_FIXES = {
    _GOLD_FIRST_CLIP: "leave out --first-clip gold",
    _GOLD_BOXES: "leave out --gold-boxes",
    _MERGED_BOXES: "give --switch merged_boxes=false",
}


class EvalData(NamedTuple):
    """A data set and the questions of it that a configuration selects."""

    data: Dataset
    samples: list[Sample]


def load_samples(config: EvalConfig) -> EvalData:
    """The data set and the selected questions, with their gold boxes if the configuration uses them. Raises DataError
    for a split without usable questions and for ids that it does not have, and UsageError for gold boxes of a set that
    has none."""
    data = open_dataset(config.data, config.split, config.data_options)
    samples = list(data.samples)
    if config.ids_file is not None:
        samples = select_samples(samples, config.ids_file, config.split)
    samples = samples[: config.limit]
    if not samples:
        raise DataError(f"{config.data}: no question of split {config.split!r} can be used; see lva data check")
    if not config.gold_boxes:
        return EvalData(data, samples)
    if not data.has_boxes:
        raise UsageError(f"--gold-boxes: {data.name} has no boxes; leave it out")
    boxes = merge_boxes(data) if config.protocol.merged_boxes else {}
    return EvalData(
        data,
        [
            replace(sample, gold=replace(sample.gold, boxes=boxes.get(sample.video, ()) or data.boxes(sample)))
            for sample in samples
        ],
    )


def merge_boxes(data: Dataset) -> dict[str, tuple[Box, ...]]:
    """The gold boxes of all questions of a split by video, each box once: what the public code shows with a look."""
    boxes: dict[str, dict[Box, None]] = {}
    for sample in data.samples:
        boxes.setdefault(sample.video, {}).update(dict.fromkeys(data.boxes(sample)))
    return {video: tuple(each) for video, each in boxes.items()}


def resolve(config: EvalConfig, data: Dataset, samples: Sequence[Sample]) -> dict[str, Any]:
    """The configuration as plain values, with digests of its external inputs: prompt, subtitles, questions, gold
    answers, and first clips located in advance. Holds no key, only the name of the variable that holds one."""
    team_config = config.team_config
    prompt = "" if team_config.master.spec.is_offline else _layout_text(team_config, config.settings.agents)
    if team_config.is_reader:
        prompt = json.dumps([READER_PROMPT, prompt])
    return {
        "version": VERSION,
        "data": str(config.data.resolve()),
        "dataset": data.name,
        **config.data_options.to_record(),
        "split": config.split,
        "ids_file": None if config.ids_file is None else str(config.ids_file),
        "ids_sha256": None if config.ids_file is None else digest(sorted(read_ids(config.ids_file))),
        "limit": config.limit,
        "num_questions": len(samples),
        "baseline": config.baseline,
        "first_clip": config.first_clip,
        "first_clips_file": None if config.first_clips_file is None else str(config.first_clips_file),
        "gold_boxes": config.gold_boxes,
        "protocol": None if config.protocol == OURS else config.protocol.model_dump(mode="json"),
        "settings": asdict(config.settings),
        "team": _team_fields(team_config),
        "servers": {
            name: render_spec(agent.spec.server_url)
            for name, agent in team_config.agents.items()
            if agent.spec.is_remote
        },
        "wording": config.wording.description,
        "wording_warnings": list(config.wording_warnings(data.name)),
        "prompt_sha256": digest([prompt]),
        "subtitles_sha256": digest(_subtitle_digests(data)),
        "first_clips_sha256": _first_clips_digest(config, samples),
        **sample_digests([sample_to_dict(sample) for sample in samples]),
        "versions": {"longvideoagent": version("longvideoagent"), "python": platform.python_version()},
    }


def _layout_text(team_config: TeamConfig, agents: Agents) -> str:
    """The master's prompt, and the other texts of a layout that is not the default one."""
    layout, default = team_config.read_layout(), default_layout()
    if team_config.calls_tools:
        layout, default = tool_layout(layout), tool_layout(default)
    prompt, others = master_prompt(layout, agents), _other_texts(layout)
    return prompt if others == _other_texts(default) else json.dumps([prompt, others])


def _other_texts(layout: PromptLayout) -> dict[str, Any]:
    """The texts of a layout but the master's prompts. Those for tools count as what they replace, if they are used; the
    origin is not a text."""
    left_out = (*TOOL_FIELDS, *ORIGIN_FIELDS)
    return {name: text for name, text in asdict(with_prompt(layout, "")).items() if name not in left_out}


def _team_fields(team_config: TeamConfig) -> dict[str, Any]:
    """The team as plain values, without what may be secret: fields of requests are digests."""
    fields = team_config.model_copy(update={"prices": team_config.used_prices}).model_dump(
        mode="json",
        exclude={"prices": {name: price.unrecorded_fields for name, price in team_config.used_prices.items()}},
    )
    return without_secret_fields(fields)


def _subtitle_digests(data: Dataset) -> Iterator[str]:
    """Name and digest of each file with subtitles or clip lengths."""
    for path in sorted(path for path in data.subtitle_files() if path.is_file()):
        name = path.relative_to(data.folder) if path.is_relative_to(data.folder) else path.name
        try:
            with path.open("rb") as file:
                yield f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}"
        except OSError:  # it fails the questions of its own video
            yield f"{name} unreadable"


def load_first_clips(config: EvalConfig, samples: Sequence[Sample]) -> FirstClips | None:
    """The first clips of these questions, located in advance; None if an agent locates them. Raises DataError if one is
    missing, but not in a cache of the public code that has some; the agent locates the others."""
    if config.first_clips_file is None:
        return None
    first_clips = open_first_clips(config.first_clips_file)
    questions = [sample.question for sample in samples]
    check_all_located(first_clips, questions, config.data, config.split, config.ids_file)
    return first_clips


def _first_clips_digest(config: EvalConfig, samples: Sequence[Sample]) -> str | None:
    first_clips = load_first_clips(config, samples)
    if first_clips is None:
        return None
    questions = [sample.question for sample in samples]
    return digest(str(first_clips.get(each)) if each in first_clips else FirstClipSource.AGENT for each in questions)


OVERRIDES = (
    *("agents", "baseline", "first_clip", "gold_boxes", "ids_file", "limit"),
    *("data_options", "protocol", "switches", "max_reply_tokens", "leak_free"),
)


def make_eval_config(
    data: Path, split: str, team_config: TeamConfig, settings: RolloutSettings, overrides: Mapping[str, Any]
) -> EvalConfig:
    """A configuration from the command line's values for ``OVERRIDES``; None is an option that was not given.

    A baseline has no agents and one round. Raises UsageError for an unknown value, and for values that contradict each
    other."""
    given = {name: value for name, value in overrides.items() if value is not None}
    unknown = [name for name in given if name not in OVERRIDES]
    if unknown:
        raise UsageError(f"{unknown[0]}: not an override; choose from {', '.join(OVERRIDES)}")
    agents, baseline = given.pop("agents", Agents.GROUNDING_VISION), given.get("baseline")
    if agents not in list(Agents):
        raise UsageError(f"--agents {agents}: give {', '.join(Agents)}")
    if baseline not in (None, *get_args(Baseline)):
        raise UsageError(f"--baseline {baseline}: give {' or '.join(get_args(Baseline))}")
    if given.get("limit", 1) < 1:
        raise UsageError(f"--limit {given['limit']}: give 1 or more")
    name, reply_tokens = given.pop("protocol", OURS.name), given.pop("max_reply_tokens", None)
    # The team has the limit already; a protocol, which replaces the master's, has it as its switch.
    limit = () if name == OURS.name or reply_tokens is None else (f"max_reply_tokens={reply_tokens}",)
    protocol = make_protocol(name, (*limit, *given.pop("switches", ())))
    leak_free = given.pop("leak_free", False)
    given |= {"protocol": protocol, "wording": Wording.of(team_config)}
    team_config = apply_to_team(protocol, team_config)
    has_tools = protocol.timeline_tools and team_config.knows_timeline_tools and agents != Agents.NONE
    run_settings = replace(settings, agents=Agents(agents), timeline_tools=has_tools)
    run_settings = apply_to_settings(protocol, run_settings)
    if baseline is not None:
        _check_baseline(baseline, settings, overrides)
        run_settings = replace(run_settings, agents=Agents.NONE, max_rounds=1, timeline_tools=False)
    given |= _parse_first_clip(given.get("first_clip", FirstClipSource.AGENT))
    if protocol.merged_boxes and run_settings.has_vision:
        options = given.get("data_options", NO_OPTIONS)
        given["gold_boxes"] = given.get("gold_boxes", False) or may_have_boxes(data, split, options)
    config = EvalConfig(data, split, team_config, run_settings, **given)
    _check_agents(config)
    if leak_free and config.gold_inputs:
        problem = config.gold_inputs[0]
        raise UsageError(f"--leak-free: {problem}; {_LEAK_FIXES[problem]}, or leave out --leak-free")
    return config


def _parse_first_clip(option: str) -> dict[str, Any]:
    """The fields of ``EvalConfig`` for a value of ``--first-clip``. Raises UsageError for an unknown value."""
    name, _, file = option.partition("=")
    if name not in list(FirstClipSource) or bool(file) != (name == FirstClipSource.FILE) or option.endswith("="):
        raise UsageError(f"--first-clip {option}: not a source of first clips; give agent, random, gold or file=FILE")
    return {"first_clip": FirstClipSource(name), "first_clips_file": Path(file) if file else None}


def _check_baseline(baseline: str, settings: RolloutSettings, overrides: Mapping[str, Any]) -> None:
    """Refuse options that a baseline does not use."""
    defaults = RolloutSettings()
    unused = {
        "--agents": overrides.get("agents") is not None,
        "--first-clip": overrides.get("first_clip") not in (None, "agent"),
        "--gold-boxes": bool(overrides.get("gold_boxes")),
        "--max-rounds": settings.max_rounds not in (1, defaults.max_rounds),
        "--window": settings.window != defaults.window,
        "--parallel-looks": settings.parallel_looks != defaults.parallel_looks,
    }
    for name, is_given in unused.items():
        if is_given:
            raise UsageError(f"--baseline {baseline} {name}: a baseline is one reply without agents; leave out {name}")


def _check_agents(config: EvalConfig) -> None:
    """Refuse options for agents that the run does not have."""
    settings = config.settings
    agents = f"--agents {settings.agents}"
    if config.first_clip is not FirstClipSource.AGENT and not settings.has_grounding:
        raise UsageError(
            f"--first-clip {config.first_clip_option} {agents}: no agent locates clips; leave out --first-clip"
        )
    if config.baseline is not None and config.team_config.is_reader:
        problem = "a reader reads windows, and a baseline is one prompt with all subtitles"
        raise UsageError(f"--baseline {config.baseline}: {problem}; leave out --baseline or the reader")
    if settings.agents is Agents.NONE and _offers_agents_always(config.team_config):
        option = agents if config.baseline is None else f"--baseline {config.baseline}"
        problem = "the layout's prompt offers agents, and it has no prompt_without_agents"
        raise UsageError(f"{option}: {problem}; leave out --layout, or add that text to it")
    if settings.window > 1 and not settings.has_grounding:
        raise UsageError(f"--window {settings.window} {agents}: the whole video is one clip; leave out --window")
    for name, is_given in (("--gold-boxes", config.gold_boxes), ("--parallel-looks", settings.parallel_looks > 1)):
        if is_given and not settings.has_vision:
            raise UsageError(f"{name} {agents}: no agent looks; leave out {name}, or give --agents grounding+vision")


def _offers_agents_always(team_config: TeamConfig) -> bool:
    """Whether the team's layout has one prompt only, whose own words offer the agents, as those of the public code."""
    if team_config.master.spec.is_offline or team_config.prompt_file is not None:
        return False
    layout = team_config.read_layout()
    return not layout.prompt_without_agents and "actions" not in template_fields(layout.prompt)


def without_unused(config: EvalConfig) -> EvalConfig:
    """The configuration without options for agents that it does not have, and without a layout that has no wording for
    a master without agents."""
    if config.settings.agents is Agents.NONE and _offers_agents_always(config.team_config):
        team_config = config.team_config.model_copy(update={"layout": None, "layout_file": None})
        config = replace(config, team_config=team_config, wording=OUR_WORDING)
    if not config.settings.has_grounding:
        config = replace(
            config,
            first_clip=FirstClipSource.AGENT,
            first_clips_file=None,
            settings=replace(config.settings, window=1, timeline_tools=False),
        )
    if not config.settings.has_vision:
        config = replace(config, gold_boxes=False, settings=replace(config.settings, parallel_looks=1))
    return config


def default_run_path(config: EvalConfig, team: str | None) -> Path:
    """The folder of a run without --run. ``team`` is the name or file of its team; None: one that is made of models."""
    spec = config.team_config.master.spec
    label = Path(team).stem if team is not None else spec.name.rpartition("/")[2] or spec.backend
    data_set = config.data_options.data_set
    names = [config.data.resolve().name, *([data_set] if data_set else []), config.split, label]
    return Path("runs") / "-".join(names)
