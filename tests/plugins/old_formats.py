"""Records and run folders as development builds before 0.1.0 wrote them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from longvideoagent.core.trace import Trace
from longvideoagent.views.trace_dict import trace_from_dict, trace_to_dict


def trace_in_version_0(trace: Trace) -> dict[str, object]:
    """A trace record as development builds before 0.1.0 wrote it."""

    def observation(record: dict[str, object] | None) -> dict[str, object] | None:
        if record is None:
            return None
        fields = dict(record)
        match fields.pop("kind"):
            case "grounding":
                window = fields.pop("window")
                assert isinstance(window, list)
                place = [clip["label"] for clip in window].index(fields["clip"])
                return fields | {"clip": place, "clips": window, "others": fields.pop("candidates")}
            case "vision":
                return fields | {"shows_it": fields.pop("is_found")}
            case _:
                result = fields.pop("grounding_result")
                if isinstance(result, dict):
                    result["others"] = result.pop("candidates")
                return fields | {"grounded": result}

    record = trace_to_dict(trace)
    record["settings"]["look_ahead"] = record["settings"].pop("parallel_looks")
    field = {"look": "query", "relocate": "request", "answer": "text", "invalid": "reason"}
    rounds = [
        {name: each[name] for name in ("reply", "thought", "clip")}
        | {
            "text": each["context_text"],
            "action": {field[each["action"]]: each["argument"]},
            "observation": observation(each["observation"]),
        }
        for each in record["rounds"]
    ]
    names = ("settings", "outcome", "option_index", "cause", "failure", "warnings")
    return {name: record[name] for name in names} | {
        "question": {"text": trace.question.text, "options": trace.question.options, "id": trace.question.id},
        "first": observation(record["first_grounding"]),
        "rounds": rounds,
        "is_hurried": trace.must_answer,
    }


_TEAM_NAMES = {
    "reasoning": "thinks",
    "structured_output": "guided",
    "max_concurrency": "most_at_once",
    "requests_per_minute": "most_per_minute",
    "max_frames": "most_frames",
    "max_image_bytes": "most_bytes",
    "api_key_env": "key_variable",
    "completion_template": "completion_prompt",
    "max_context_tokens": "context_tokens",
}


def downgrade_run(path: Path) -> None:
    """Rewrite a finished run folder in version 2."""
    config: dict[str, Any] = json.loads((path / "config.json").read_text())
    del config["version"]
    config["format"] = 2
    config["set"] = config.pop("dataset")
    config["questions"] = config.pop("num_questions")
    config["boxes"] = config.pop("gold_boxes")
    file = config.pop("first_clips_file")
    config["first_clip"] = {"agent": "ground", "file": f"cache={file}"}.get(config["first_clip"], config["first_clip"])
    config["settings"]["look_ahead"] = config["settings"].pop("parallel_looks")
    for agent in ("master", "grounding", "vision"):
        fields = config["team"][agent].items()
        config["team"][agent] = {_TEAM_NAMES.get(name, name): value for name, value in fields} | {"most_at_once": 64}
    (path / "config.json").write_text(json.dumps(config))
    records = [json.loads(line) for line in (path / "traces.jsonl").read_text().splitlines()]
    old = [trace_in_version_0(trace_from_dict(record)) for record in records]
    (path / "traces.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in old))
