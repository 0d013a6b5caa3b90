"""Reading a run folder of ``lva eval``: settings, questions and traces, of this and of older versions.

    RUN/config.json      the settings that decide the numbers
    RUN/questions.jsonl  the questions with their gold answers, so that a run can be read without its data
    RUN/traces.jsonl     one trace a line; the last line of a question counts
    RUN/summary.json     the numbers
    RUN/report.html      the page

Evaluation, training and the server read runs here; only ``evaluation.store`` writes them. ``read_config`` brings
settings of an older version up to date with numbered migrations, and each trace has a version of its own.
"""

from __future__ import annotations

import errno
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from longvideoagent.agents.config import DEFAULT_SETTINGS, TeamConfig
from longvideoagent.agents.prompts import with_tool_texts
from longvideoagent.core.actions import AGENT_NAMES
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import Question
from longvideoagent.datasets.gold import Gold, Sample
from longvideoagent.errors import DataError, UsageError
from longvideoagent.models.secrets import render_spec
from longvideoagent.models.spec import ModelSpec
from longvideoagent.views.trace_dict import trace_from_dict

CONFIG, QUESTIONS, TRACES = "config.json", "questions.jsonl", "traces.jsonl"
SUMMARY, REPORT = "summary.json", "report.html"

MIN_VERSION = 2
VERSION = 6
"""Of config.json. ``_MIGRATIONS`` lead from ``MIN_VERSION`` to it."""

_GOLD = TypeAdapter(Gold)


def read_config(path: Path) -> dict[str, Any]:
    """A run's settings in the current version. Raises DataError for a folder without a readable run."""
    file = path / CONFIG
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: not a run ({CONFIG} is missing); check the path") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: not JSON ({error}); start the run again in another folder") from error
    config = _migrate(file, config)
    if fields := _invalid_fields(config):
        names = ", ".join(fields[:3])
        raise DataError(f"{file}: {names} cannot be read; restore the file, or start the run again in another folder")
    return config


def read_samples(path: Path) -> dict[str, Sample]:
    """A run's questions with their gold answers, by id, in the order in which they are asked. Raises DataError where
    they differ from those that the run started with."""
    config = read_config(path)
    lines = read_json_lines(path / QUESTIONS, "restore the file, or start a new run")
    records = list(islice(lines, config["num_questions"]))
    for name, value in sample_digests(records).items():
        if value != config[name]:
            changed = "gold answers" if name == "gold_sha256" else "questions"
            raise DataError(f"{path / QUESTIONS}: its {changed} have changed; restore the file, or start a new run")
    samples = map(_sample_from_dict, records)
    return {sample.question.id: sample for sample in samples}


def read_traces(path: Path) -> Iterator[Trace]:
    """The trace of each line, one at a time; of a question that was asked again, the last trace comes last. Raises
    DataError, naming the line, for one that cannot be read or is not of a question of the run."""
    file = path / TRACES
    known = read_samples(path)
    for number, trace in _read_numbered(file, "delete that line and run the command again"):
        if trace.question.id not in known:
            question_id = str(trace.question.id)[:80]
            raise DataError(f"{file}:{number}: question {question_id!r} is not of this run; delete that line")
        yield trace


@dataclass(frozen=True, slots=True)
class ScoredTrace:
    """The last trace of a question, with its gold option or None."""

    trace: Trace
    gold_option: int | None


def read_scored_traces(path: Path) -> list[ScoredTrace]:
    """The questions that have a trace, for training. Reads questions and traces only, so that folders without settings
    can be used. Raises DataError for lines that cannot be read."""
    fix = "give a folder of lva eval"
    gold_options: dict[str, int | None] = {}
    for record in read_json_lines(path / QUESTIONS, fix):
        try:
            gold_options[record["question"]["id"]] = record["gold"]["option_index"]
        except (LookupError, TypeError) as error:
            raise DataError(f"{path / QUESTIONS}: not questions with gold ({error}); {fix}") from error
    last = {trace.question.id: trace for _, trace in _read_numbered(path / TRACES, fix)}
    return [ScoredTrace(trace, gold_options[name]) for name, trace in last.items() if name in gold_options]


class _NumberedTrace(NamedTuple):
    line_number: int
    trace: Trace


def _read_numbered(file: Path, fix: str) -> Iterator[_NumberedTrace]:
    """The trace of each line with the line's number, from 1."""
    for number, record in enumerate(read_json_lines(file, fix), 1):
        try:
            yield _NumberedTrace(number, trace_from_dict(record))
        except ValueError as error:
            raise DataError(f"{file}:{number}: not a trace ({error}); was it written by another version?") from None


def read_json_lines(path: Path, fix: str) -> Iterator[dict[str, Any]]:
    """The object of each complete line of a file of JSON lines; a last line without its end is being written, or was
    left by a killed process. Raises DataError, which ends with ``fix``, for a line that is not a JSON object, and
    for a file that does not exist."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return
                try:
                    record = json.loads(line.decode())
                except (ValueError, RecursionError) as error:
                    raise DataError(f"{path}:{number}: not JSON ({error}); {fix}") from error
                if not isinstance(record, dict):
                    raise DataError(f"{path}:{number}: not a JSON object; {fix}")
                yield record
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; is its folder a run?") from None


# --- questions and gold answers --------------------------------------------------------------------


def sample_to_dict(sample: Sample) -> dict[str, Any]:
    """A line of questions.jsonl: a question with its gold answer."""
    question = sample.question
    fields = {"id": question.id, "text": question.text, "options": question.options}
    gold = {name: value for name, value in asdict(sample.gold).items() if name != "reference" or value is not None}
    return {"question": fields, "video": sample.video, "kind": sample.kind, "gold": gold}


def _sample_from_dict(record: Mapping[str, Any]) -> Sample:
    fields = record["question"]
    question = Question(fields["text"], tuple(fields["options"]), fields["id"])
    return Sample(question, _GOLD.validate_python(record["gold"]), record["kind"], record["video"])


def sample_digests(records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """One digest of the questions and one of their gold answers."""
    questions = ({name: value for name, value in record.items() if name != "gold"} for record in records)
    return {
        "questions_sha256": digest(json.dumps(fields, sort_keys=True) for fields in questions),
        "gold_sha256": digest(json.dumps(record.get("gold"), sort_keys=True) for record in records),
    }


def digest(texts: Iterable[str]) -> str:
    """A short digest of texts in their order."""
    total = hashlib.sha256()
    for text in texts:
        total.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return total.hexdigest()[:16]


# --- settings --------------------------------------------------------------------------------------

_REQUIRED: Mapping[str, type | UnionType] = {
    **dict.fromkeys(("data", "dataset", "split", "first_clip", "settings.agents", "team.style"), str),
    **dict.fromkeys((f"team.{agent}.model" for agent in AGENT_NAMES), str),
    **dict.fromkeys(("questions_sha256", "gold_sha256", "versions.longvideoagent", "versions.python"), str),
    **dict.fromkeys(("num_questions", "settings.max_rounds", "settings.window"), int),
    "limit": int | None,
    "baseline": str | None,
    "gold_boxes": bool,
}
"""The fields of config.json that are read, and their types."""
_OPTIONAL: Mapping[str, type | UnionType] = {
    **dict.fromkeys(("data_set", "subtitles_file", "encoding", "first_clips_file", "ids_file"), str | None),
    **dict.fromkeys(("protocol", "settings", "team", "versions"), dict | None),
    **dict.fromkeys(("protocol.name", "protocol.scoring"), str),
    "protocol.merged_boxes": bool,
    "wording_warnings": list | None,
}
"""Those that older versions did not write."""
_PATHS = ("data", "subtitles_file", "first_clips_file", "ids_file")


def _invalid_fields(config: dict[str, Any]) -> list[str]:
    missing = [name for name, kind in _REQUIRED.items() if not _is_of(_field(config, name), kind)]
    optional = {name: _field(config, name) for name in _OPTIONAL}
    wrong = [name for name, value in optional.items() if value is not ... and not _is_of(value, _OPTIONAL[name])]
    return missing or wrong or [name for name in _PATHS if not _is_path(config.get(name) or "")]


def _field(config: Mapping[str, Any], name: str) -> Any:
    """The value of a dotted name; ... if there is none."""
    value: Any = config
    for part in name.split("."):
        value = value.get(part, ...) if isinstance(value, Mapping) else ...
    return value


def _is_of(value: object, kind: type | UnionType) -> bool:
    """Whether a value is of a type, and a number one that counts something."""
    return isinstance(value, kind) and not (isinstance(value, int) and not 0 <= value <= sys.maxsize)


def _is_path(text: str) -> bool:
    """Whether a file can have this name: it is not too long, and has neither half a character nor a NUL."""
    try:
        Path(text).stat()
    except ValueError:
        return False
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG
    return True


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted names."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        nested = isinstance(value, dict) and value
        flat |= flatten(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return flat


# --- migrations: each takes settings of version n and returns those of version n + 1 ----------------


def _from_version_2(config: dict[str, Any]) -> dict[str, Any]:
    """Development builds before 0.1.0: other names, the same meaning. They call the version ``format``."""
    config = {name: value for name, value in config.items() if name != "format"}
    migrated = {_RENAMED_2.get(name, name): value for name, value in config.items()}
    source, _, file = str(migrated.get("first_clip")).partition("=")
    migrated["first_clip"] = {"ground": "agent", "cache": "file"}.get(source, source)
    migrated["first_clips_file"] = file or None
    for name in ("settings", "team"):
        if isinstance(migrated.get(name), dict):
            migrated[name] = _rename_2(migrated[name])
    with suppress(ValidationError, LookupError, AttributeError):  # a damaged field is reported with the others
        for agent in AGENT_NAMES:
            if migrated["team"][agent].get("max_concurrency") == _MAX_CONCURRENCY_2:
                del migrated["team"][agent]["max_concurrency"]
        prices = migrated["team"].get("prices", {})
        migrated["team"]["prices"] = {
            model: {f"{name}_usd_per_mtok": value for name, value in price.items()} for model, price in prices.items()
        }
        migrated["team"] = TeamConfig.model_validate(migrated["team"]).model_dump(mode="json")
    return migrated


_MAX_CONCURRENCY_2 = 64
"""The default of version 2; the current default depends on the back end."""

_RENAMED_2 = {
    "set": "dataset",
    "questions": "num_questions",
    "boxes": "gold_boxes",
    "look_ahead": "parallel_looks",
    "thinks": "reasoning",
    "guided": "structured_output",
    "most_at_once": "max_concurrency",
    "most_per_minute": "requests_per_minute",
    "most_frames": "max_frames",
    "most_bytes": "max_image_bytes",
    "key_variable": "api_key_env",
    "completion_prompt": "completion_template",
    "context_tokens": "max_context_tokens",
}


def _rename_2(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        _RENAMED_2.get(name, name): _rename_2(value) if isinstance(value, dict) else value
        for name, value in fields.items()
    }


def _from_version_3(config: dict[str, Any]) -> dict[str, Any]:
    """Every key was in OPENAI_API_KEY unless the team said otherwise, and a reply of a provider's model was limited as
    one of any other: 1,024 tokens, of grounding 512."""
    with suppress(LookupError, TypeError, AttributeError, UsageError):  # a damaged field is reported with the others
        team = {**config["team"]}
        for name in AGENT_NAMES:
            agent = {**team[name]}
            if agent.get("api_key_env") == "OPENAI_API_KEY":
                agent["api_key_env"] = None
            if ModelSpec.parse(agent["model"]).may_reason and not agent.get("reasoning"):
                agent["max_tokens"] = agent.get("max_tokens") or DEFAULT_SETTINGS[name].max_tokens
            team[name] = agent
        return config | {"team": team}
    return config


def _from_version_4(config: dict[str, Any]) -> dict[str, Any]:
    """Every master acted by tags, a schema was sent only if the team asked for it, and layouts had no texts about
    tools."""
    with suppress(ValidationError, LookupError, TypeError, AttributeError, UsageError):  # reported with other damage
        team = {**config["team"]}
        for name in AGENT_NAMES:
            team[name] = {**team[name], "structured_output": team[name].get("structured_output") or None}
        if team.get("layout"):
            team["layout"] = with_tool_texts(team["layout"])
        current = TeamConfig.model_validate(team)
        if current.calls_tools:
            team["master"]["dialect"] = "tags"
        if current.sends_schema and not team["grounding"]["structured_output"]:
            team["grounding"]["structured_output"] = False
        return config | {"team": team}
    return config


def _from_version_5(config: dict[str, Any]) -> dict[str, Any]:
    """Settings held fields of requests and the addresses of servers as they were given, secrets included."""
    with suppress(LookupError, TypeError, AttributeError):  # a damaged field is reported with the others
        return config | {"team": without_secret_fields(config["team"])}
    return config


def without_secret_fields(team: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a team with ``extra_body``, which may hold a key, as a digest, and model specs as they may be
    stored."""
    changed: dict[str, Any] = {name: {**team[name], "model": render_spec(team[name]["model"])} for name in AGENT_NAMES}
    for agent in changed.values():
        if agent.get("extra_body"):
            text = json.dumps(agent["extra_body"], sort_keys=True)
            agent["extra_body"] = {"sha256": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()}
    return {**team, **changed}


_MIGRATIONS = (_from_version_2, _from_version_3, _from_version_4, _from_version_5)


def _migrate(file: Path, config: Any) -> dict[str, Any]:
    number = config.get("version", config.get("format")) if isinstance(config, dict) else None
    if not isinstance(number, int) or not MIN_VERSION <= number <= VERSION:
        problem = f"version {number!r} is not one of {MIN_VERSION} to {VERSION}"
        raise DataError(f"{file}: {problem}; read it with the version of longvideoagent that wrote it")
    migrated: dict[str, Any] = config
    for migrate in _MIGRATIONS[number - MIN_VERSION :]:
        migrated = migrate(migrated)
    return migrated | {"version": VERSION}
