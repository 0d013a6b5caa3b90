"""What decides the numbers of a run: written beside them, and compared when the run is gone on with."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

from longvideoagent.agents.load import read_prompt
from longvideoagent.agents.roster import OFFLINE, Roster
from longvideoagent.context import master_prompt
from longvideoagent.datasets.dataset import DataSet
from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.open import open_dataset
from longvideoagent.errors import DataError, UsageError
from longvideoagent.trace import Agents, Settings
from longvideoagent.types import Question

FORMAT = 1

Baseline = Literal["subtitles", "subtitles+frames"]
"""The paper's runs without agents: the whole episode's subtitles in one prompt, alone or with 16 frames."""


@dataclass(frozen=True, slots=True)
class EvalProtocol:
    """What is asked, of whom, and what they are told beforehand. Gold is told only where a switch says so."""

    data: Path
    split: str
    roster: Roster
    settings: Settings
    first_clip: str = "ground"
    """ground, random, gold, or cache=FILE (written by ``lva data ground``)."""
    boxes: bool = False
    """Whether the gold boxes are told with each look, as the public evaluators do."""
    baseline: Baseline | None = None
    limit: int | None = None
    """Questions asked, the first ones of the set; None for all."""

    @property
    def tells_gold(self) -> tuple[str, ...]:
        """The switches that hand gold to the agents, to be printed beside every number."""
        told = ["the first clip is the gold clip"] if self.first_clip == "gold" else []
        return (*told, "gold boxes are told with each look") if self.boxes else tuple(told)


def read_asked(protocol: EvalProtocol) -> tuple[DataSet, list[Sample]]:
    """The data set, and the questions that the protocol asks of it. Raises DataError where there are none."""
    data = open_dataset(protocol.data, protocol.split)
    samples = list(data.samples)[: protocol.limit]
    if not samples:
        raise DataError(f"{protocol.data}: no question of split {protocol.split!r} can be used; see lva data check")
    return data, samples


def resolve(protocol: EvalProtocol, name: str, samples: Sequence[Sample]) -> dict[str, Any]:
    """The protocol as plain values, with digests of what lies outside of it: prompts, questions and gold
    answers. Holds no key: a roster names the variable that holds one."""
    master = protocol.roster.master.model
    prompt = (
        "" if master == OFFLINE else read_prompt(protocol.roster.prompt_file) or master_prompt(protocol.settings.agents)
    )
    return {
        "format": FORMAT,
        "data": str(protocol.data.resolve()),
        "set": name,
        "split": protocol.split,
        "limit": protocol.limit,
        "baseline": protocol.baseline,
        "first_clip": protocol.first_clip,
        "boxes": protocol.boxes,
        "settings": asdict(protocol.settings),
        "team": protocol.roster.model_dump(mode="json"),
        "prompt_sha256": digest([prompt]),
        "questions_sha256": digest(_told(sample.question) for sample in samples),
        "gold_sha256": digest(repr(sample.gold) for sample in samples),
        "versions": {"longvideoagent": version("longvideoagent"), "python": platform.python_version()},
    }


def digest(texts: Iterable[str]) -> str:
    """A short digest of texts in their order."""
    total = hashlib.sha256()
    for text in texts:
        total.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return total.hexdigest()[:16]


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Each field that differs, as ``name: before -> now``; versions do not count."""
    one, other = (_flat({key: told[key] for key in told if key != "versions"}) for told in (before, now))
    names = dict.fromkeys([*one, *other])
    return [
        f"{name}: {json.dumps(one.get(name))} -> {json.dumps(other.get(name))}"
        for name in names
        if one.get(name) != other.get(name)
    ]


def _flat(told: dict[str, Any], under: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in told.items():
        flat |= _flat(value, f"{under}{name}.") if isinstance(value, dict) and value else {f"{under}{name}": value}
    return flat


def _told(question: Question) -> str:
    return json.dumps([question.id, question.text, *question.options])


def make_protocol(
    data: Path, split: str, roster: Roster, bounds: Settings, switches: Mapping[str, Any]
) -> EvalProtocol:
    """A protocol from words: switches are ``agents``, ``baseline``, ``first_clip``, ``boxes`` and ``limit``. A
    baseline has no agents and one round. Raises UsageError for a word that is none."""
    agents, baseline = switches.get("agents", Agents.GROUNDING_VISION), switches.get("baseline")
    if agents not in list(Agents):
        raise UsageError(f"--agents {agents}: give {', '.join(Agents)}")
    if baseline not in (None, *get_args(Baseline)):
        raise UsageError(f"--baseline {baseline}: give {' or '.join(get_args(Baseline))}")
    settings = replace(bounds, agents=Agents(agents))
    if baseline is not None:
        settings = replace(settings, agents=Agents.NONE, max_rounds=1)
    rest = {name: switches[name] for name in ("first_clip", "boxes", "limit") if name in switches}
    return EvalProtocol(data, split, roster, settings, baseline=baseline, **rest)


def default_run(protocol: EvalProtocol, team: str) -> Path:
    """Where a run is kept if nothing else is said."""
    return Path("runs") / "-".join([protocol.data.resolve().name, protocol.split, Path(team).stem])
