"""What decides the numbers of a run: written beside them, and compared when the run is gone on with."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from longvideoagent.agents.build import read_prompt
from longvideoagent.agents.config import TeamConfig
from longvideoagent.agents.prompts import master_prompt
from longvideoagent.core.trace import Agents, RolloutSettings
from longvideoagent.datasets.base import Dataset
from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.registry import open_dataset
from longvideoagent.datasets.sets.base import VIDEO_FOLDERS
from longvideoagent.errors import DataError, UsageError
from longvideoagent.index.first_clips import FirstClips
from longvideoagent.media.subtitles import SUFFIXES
from longvideoagent.models.spec import ModelSpec
from longvideoagent.views.run_folder import FORMAT, digest, flatten, sample_digests, sample_to_dict

Baseline = Literal["subtitles", "subtitles+frames"]
"""The paper's runs without agents: the whole episode's subtitles in one prompt, alone or with 16 frames."""


@dataclass(frozen=True, slots=True)
class EvalConfig:
    """What is asked, of whom, and what they are told beforehand. Gold is told only where a switch says so."""

    data: Path
    split: str
    team_config: TeamConfig
    settings: RolloutSettings
    first_clip: str = "ground"
    """ground, random, gold, or cache=FILE (written by ``lva data ground``)."""
    boxes: bool = False
    """Whether the gold boxes are told with each look, as the public evaluators do."""
    baseline: Baseline | None = None
    limit: int | None = None
    """Questions asked, the first ones of the set; None for all."""

    @property
    def first_clips(self) -> Path | None:
        """The file of first clips found beforehand; None where they come from elsewhere."""
        kind, _, file = self.first_clip.partition("=")
        return Path(file) if kind == "cache" else None

    @property
    def tells_gold(self) -> tuple[str, ...]:
        """The switches that hand gold to the agents, to be printed beside every number."""
        return gold_told(self.first_clip, boxes=self.boxes, agents=self.settings.agents)


def gold_told(first_clip: str, *, boxes: bool, agents: str) -> tuple[str, ...]:
    """Each way in which these switches hand gold to the agents; one that nobody asks hands nothing over."""
    told = (
        ("the first clip is the gold clip", first_clip == "gold" and agents != Agents.NONE),
        ("gold boxes are told with each look", boxes and agents == Agents.GROUNDING_VISION),
    )
    return tuple(what for what, is_told in told if is_told)


def read_asked(protocol: EvalConfig) -> tuple[Dataset, list[Sample]]:
    """The data set, and the questions that the protocol asks of it, with their boxes where it tells them. Raises
    DataError where there are none, and UsageError where boxes are to be told and the set has none."""
    data = open_dataset(protocol.data, protocol.split)
    samples = list(data.samples)[: protocol.limit]
    if not samples:
        raise DataError(f"{protocol.data}: no question of split {protocol.split!r} can be used; see lva data check")
    if not protocol.boxes:
        return data, samples
    if not hasattr(data, "boxes"):
        raise UsageError(f"--boxes: {data.name} has no boxes; leave it out")
    return data, [replace(each, gold=replace(each.gold, boxes=data.boxes(each) or ())) for each in samples]


def resolve(protocol: EvalConfig, data: Dataset, samples: Sequence[Sample]) -> dict[str, Any]:
    """The protocol as plain values, with digests of what lies outside of it: prompt, subtitles, questions, gold
    answers, and first clips found beforehand. Holds no key: a roster names the variable that holds one."""
    team_config = protocol.team_config
    prompt = (
        ""
        if team_config.master.spec.is_offline
        else read_prompt(team_config.prompt_file) or master_prompt(protocol.settings.agents)
    )
    return {
        "format": FORMAT,
        "data": str(protocol.data.resolve()),
        "set": data.name,
        "split": protocol.split,
        "limit": protocol.limit,
        "questions": len(samples),
        "baseline": protocol.baseline,
        "first_clip": protocol.first_clip,
        "boxes": protocol.boxes,
        "settings": asdict(protocol.settings),
        "team": team_config.model_dump(mode="json"),
        "servers": {role: _server(agent.spec) for role, agent in team_config.agents.items() if agent.spec.is_remote},
        "prompt_sha256": digest([prompt]),
        "subtitles_sha256": digest(_texts(data.folder)),
        "first_clips_sha256": _first_clips(protocol.first_clips, samples),
        **sample_digests([sample_to_dict(sample) for sample in samples]),
        "versions": {"longvideoagent": version("longvideoagent"), "python": platform.python_version()},
    }


def _server(spec: ModelSpec) -> str:
    """The URL of a model's server, without a password that may be in it."""
    place = urlsplit(spec.server_url)
    return place._replace(netloc=place.netloc.rpartition("@")[2], query="").geturl()


def _texts(folder: Path) -> Iterator[str]:
    """The files from which lines and lengths of clips are read, wherever a set keeps them: name and digest of each."""
    found = [*folder.glob("*subtitle*"), folder / "clip_durations.json"]
    found += [path for place in ("subtitle", "subtitles") for path in (folder / place).rglob("*")]
    beside = [path for place in VIDEO_FOLDERS for path in (folder / place).rglob("*")]
    found += [path for path in beside if path.suffix.lower() in SUFFIXES]
    for path in sorted(path for path in found if path.is_file()):
        with path.open("rb") as file:
            yield f"{path.relative_to(folder)} {hashlib.file_digest(file, 'sha256').hexdigest()}"


def _first_clips(path: Path | None, samples: Sequence[Sample]) -> str | None:
    if path is None:
        return None
    cache = FirstClips.open_existing(path)
    return digest(str(cache.get(sample.question)) for sample in samples)


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Each field that differs, as ``name: before -> now``."""
    one, other = flatten(before), flatten(now)
    names = dict.fromkeys([*one, *other])
    return [
        f"{name}: {json.dumps(one.get(name))} -> {json.dumps(other.get(name))}"
        for name in names
        if one.get(name) != other.get(name)
    ]


SWITCHES = ("agents", "baseline", "first_clip", "boxes", "limit")


def make_eval_config(
    data: Path, split: str, team_config: TeamConfig, bounds: RolloutSettings, switches: Mapping[str, Any]
) -> EvalConfig:
    """A protocol from words, ``SWITCHES``; None is a switch not given. A baseline has no agents and one round.
    Raises UsageError for a word that is none, and for words that mean nothing together."""
    given = {name: told for name, told in switches.items() if told is not None}
    unknown = [name for name in given if name not in SWITCHES]
    if unknown:
        raise UsageError(f"{unknown[0]}: no such switch; there are {', '.join(SWITCHES)}")
    agents, baseline = given.pop("agents", Agents.GROUNDING_VISION), given.get("baseline")
    if agents not in list(Agents):
        raise UsageError(f"--agents {agents}: give {', '.join(Agents)}")
    if baseline not in (None, *get_args(Baseline)):
        raise UsageError(f"--baseline {baseline}: give {' or '.join(get_args(Baseline))}")
    if given.get("limit", 1) < 1:
        raise UsageError(f"--limit {given['limit']}: give 1 or more")
    settings = replace(bounds, agents=Agents(agents))
    if baseline is not None:
        _check_baseline(baseline, bounds, switches)
        settings = replace(settings, agents=Agents.NONE, max_rounds=1)
    protocol = EvalConfig(data, split, team_config, settings, **given)
    _check_agents(protocol)
    return protocol


def _check_baseline(baseline: str, bounds: RolloutSettings, switches: Mapping[str, Any]) -> None:
    """Refuse what a baseline has no use for."""
    usual = RolloutSettings()
    told = {
        "--agents": switches.get("agents") is not None,
        "--first-clip": switches.get("first_clip") not in (None, "ground"),
        "--boxes": bool(switches.get("boxes")),
        "--max-rounds": bounds.max_rounds not in (1, usual.max_rounds),
        "--window": bounds.window != usual.window,
        "--parallel-looks": bounds.parallel_looks != usual.parallel_looks,
    }
    for name, is_given in told.items():
        if is_given:
            raise UsageError(f"--baseline {baseline} {name}: a baseline is one reply without agents; leave out {name}")


def _check_agents(protocol: EvalConfig) -> None:
    """Refuse what an agent that is not there would be told."""
    settings = protocol.settings
    agents = f"--agents {settings.agents}"
    if protocol.first_clip != "ground" and not settings.grounding:
        raise UsageError(f"--first-clip {protocol.first_clip} {agents}: nobody asks for clips; leave out --first-clip")
    if settings.window > 1 and not settings.grounding:
        raise UsageError(f"--window {settings.window} {agents}: the whole video is one clip; leave out --window")
    for name, is_given in (("--boxes", protocol.boxes), ("--parallel-looks", settings.parallel_looks > 1)):
        if is_given and not settings.vision:
            raise UsageError(f"{name} {agents}: nobody looks; leave out {name}, or give --agents grounding+vision")


def without_unused(protocol: EvalConfig) -> EvalConfig:
    """The protocol without what an agent that is not there would be told."""
    if not protocol.settings.grounding:
        protocol = replace(protocol, first_clip="ground", settings=replace(protocol.settings, window=1))
    if not protocol.settings.vision:
        protocol = replace(protocol, boxes=False, settings=replace(protocol.settings, parallel_looks=1))
    return protocol


def default_run(protocol: EvalConfig, team: str) -> Path:
    """Where a run is kept if nothing else is said."""
    return Path("runs") / "-".join([protocol.data.resolve().name, protocol.split, Path(team).stem])
