"""What is given damaged inputs: each target makes an input from ``rng`` and uses the package on it."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from longvideoagent import ask, open_video
from longvideoagent.agents.config import TeamConfig
from longvideoagent.agents.team_file import validate_toml
from longvideoagent.core.protocol import parse, parse_clips, parse_timed_lines, without_reasoning
from longvideoagent.datasets.registry import open_dataset
from longvideoagent.errors import DataError
from longvideoagent.evaluation.compare import compare
from longvideoagent.evaluation.report import write_report
from longvideoagent.media.subtitles import parse_subtitles
from longvideoagent.models.openai_errors import read_error
from longvideoagent.models.openai_reply import read_completion
from longvideoagent.views.run_folder import read_scored_traces
from longvideoagent.views.trace_dict import trace_from_dict, trace_to_dict
from tests.fakes.faulty_server import completion
from tests.fakes.release import some_questions, write_release
from tests.fakes.subtitle_streams import CLEAR, SILENT, TextStream, mux, pop_on, write_captioned
from tests.fuzz.damage import damaged_bytes, damaged_json, damaged_text, json_text
from tests.plugins.media import write_video
from tests.plugins.runs import eval_config, run

Target = Callable[[random.Random, Path], None]
TARGETS: dict[str, Target] = {}


def target(function: Target) -> Target:
    TARGETS[function.__name__] = function
    return function


@cache
def seed_folder() -> Path:
    """Whole inputs, made once in each process."""
    return Path(mkdtemp(prefix="fuzz-seeds-"))


# --- media ----------------------------------------------------------------------------------------

_CODECS = ((".mp4", "libx264"), (".mkv", "libx264"), (".ts", "libx264"), (".avi", "mpeg4"), (".webm", "libvpx"))
_SRT = "1\n00:00:00,500 --> 00:00:01,500\nMira: Hello\n"


@cache
def _media_seeds() -> tuple[Path, ...]:
    folder = seed_folder() / "media"
    folder.mkdir()
    for suffix, codec in _CODECS:
        write_video(folder / f"plain{suffix}", range(0, 2000, 40), codec=codec)
    mux(folder / "plain.mp4", [TextStream([(500, 1500, "Mira: Hello")])], folder / "text.mkv")
    write_captioned(folder / "captions.ts", [SILENT, *pop_on("HELLO"), *[SILENT] * 9, *CLEAR])
    return tuple(sorted(folder.iterdir()))


@target
def media(rng: random.Random, folder: Path) -> None:
    """A damaged video file is opened, read at three times and searched for subtitles."""
    seed = rng.choice(_media_seeds())
    path = folder / f"a{rng.choice((seed.suffix, seed.suffix, '.mp4'))}"
    path.write_bytes(damaged_bytes(seed.read_bytes(), rng))
    path.with_suffix(".srt").write_text(_SRT)  # so that no text is read off the screen
    video = open_video(path)
    assert 0 < len(video.timeline.clips) <= MAX_CLIPS
    video.reader.frames([0.0, video.timeline.duration_s / 2, video.timeline.duration_s])


MAX_CLIPS = 10_000

# --- texts ----------------------------------------------------------------------------------------

_CUE = "00:00:01,000 --> 00:00:02,000"
_SUBTITLE_TOKENS = (
    "WEBVTT", "\n", "\n\n", _CUE, "00:01.000 --> 00:02.000 align:start", " --> ", "->", "1", "1984", "Hello", "{", "}",
    "{\\an8}", "{1}{2}", "<", ">", "<i>", "<i ", "</i>", "<v Mira>", "&", "&#", "&amp;", "&#x110000;", "-1:00:01,000",
    "99999:99:99,999", "[Script Info]", "[Events]\nFormat: Start, End, Text\n", "Dialogue: 0:00:01.00,0:00:02.00,x",
    "<tt xmlns='http://www.w3.org/ns/ttml'>", "<p begin='1s' end='2s'>x</p>", "</tt>", "<!DOCTYPE a [<!ENTITY b 'c'>]>",
    "0:00:01.000,0:00:02.000", "[00:01.00]", "NOTE", "STYLE", "X-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:900000",
    "\x00", "\ufeff", "\u200d", "é", "日本", "\\N", "|",
)  # fmt: skip


@target
def subtitles(rng: random.Random, _: Path) -> None:
    """A text of pieces of all formats is parsed, in some encoding."""
    text = damaged_text(_SUBTITLE_TOKENS, rng)
    encoding = rng.choice(("utf-8", "utf-8", "utf-16", "utf-16-le", "cp1252", "shift_jis", "gb18030"))
    data = text.encode(encoding, errors="replace")
    lines = parse_subtitles(damaged_bytes(data, rng) if rng.random() < 0.3 else data).subtitles
    assert all(0 <= line.start_s < line.end_s and line.text for line in lines)


_REPLY_TOKENS = (
    "<think>", "</think>", "<answer>", "</answer>", "<visual_query>", "</visual_query>", "<search>", "</search>",
    "<request_grounding/>", "<request_grounding>", "a0", "B", "\\boxed{a1}", "12.0 s: ", "[0:12]", "<clip>", "</clip>",
    "c01", '{"clips": [', '{"label": "c01"}', "]}", "**", "\n", " ", "<|im_end|>", "<|channel|>analysis<|message|>",
    "◁think▷", "<thought>", "[", "{", '"', "<", "x", "é", "\u202e", "\x1b[31m",
)  # fmt: skip


@target
def replies(rng: random.Random, _: Path) -> None:
    """A model's text is parsed as a reply, as clips and as timed lines."""
    text = damaged_text(_REPLY_TOKENS, rng)
    parse(text, is_truncated=rng.random() < 0.5, anywhere=rng.random() < 0.5)
    parse_clips(text)
    parse_timed_lines(text)
    without_reasoning(text)


@target
def server_replies(rng: random.Random, _: Path) -> None:
    """A server's JSON is read as a completion and as an error."""
    call = {"id": "1", "type": "function", "function": {"name": "answer", "arguments": '{"text": "a0"}'}}
    message = {"role": "assistant", "content": "hello", "reasoning_content": "hm", "tool_calls": [call]}
    answer = damaged_json(completion("chat.completion", message=message), rng)
    read_completion(answer)
    read_error(damaged_json({"error": {"message": "no", "code": 400, "metadata": {"raw": "{}"}}}, rng), 400)


@target
def team_files(rng: random.Random, _: Path) -> None:
    """A TOML text is read as a team."""
    tokens = (
        "[master]", "[vision]", "[prices.m]", "[layout]", "model = ", '"openai:m"', "= ", "1", "1e400", "-1", "true",
        "temperature", "extra_body", "{ a = 1 }", "[1, 2]", '"""', "'", "\n", "\n", "prompt = '$question'", "x.y.z",
    )  # fmt: skip
    validate_toml(TeamConfig, damaged_text(tokens, rng)[:100_000], "team.toml")


# --- folders --------------------------------------------------------------------------------------


@cache
def _trace() -> dict[str, Any]:
    path = seed_folder() / "talk.mp4"
    write_video(path, range(0, 2000, 40))
    path.with_suffix(".srt").write_text(_SRT)
    return trace_to_dict(ask(path, "Who says hello?", ["Mira", "Otto"]))


@target
def traces(rng: random.Random, _: Path) -> None:
    """A damaged trace is read."""
    try:
        trace_from_dict(damaged_json(_trace(), rng))
    except ValueError:  # what the readers of whole files turn into a DataError with the line
        return


@cache
def _release() -> Path:
    return write_release(seed_folder() / "release", some_questions(4))


@cache
def _run() -> Path:
    path = seed_folder() / "run"
    run(eval_config(_release()), path)
    return path


@target
def data_sets(rng: random.Random, folder: Path) -> None:
    """A data set with one damaged file is read and checked."""
    copy = Path(shutil.copytree(_release(), folder / "data"))
    _damage_one_file(copy, rng)
    dataset = open_dataset(copy)
    dataset.check()
    for sample in dataset.samples:
        assert sample.question.text


@target
def run_folders(rng: random.Random, folder: Path) -> None:
    """A run folder with one damaged file is read, compared and reported."""
    copy = Path(shutil.copytree(_run(), folder / "run"))
    _damage_one_file(copy, rng)
    for use in (read_scored_traces, write_report, lambda path: compare(_run(), path)):
        with suppress(DataError):
            use(copy)


def _damage_one_file(folder: Path, rng: random.Random) -> None:
    path = rng.choice([each for each in sorted(folder.rglob("*")) if each.suffix in (".json", ".jsonl")])
    if path.suffix == ".json" and rng.random() < 0.7:
        path.write_bytes(json_text(damaged_json(json.loads(path.read_text()), rng), rng))
    elif rng.random() < 0.7:
        lines = path.read_text().splitlines() or ["{}"]
        number = rng.randrange(len(lines))
        try:
            lines[number] = json_text(damaged_json(json.loads(lines[number]), rng), rng).decode(errors="replace")
        except ValueError:
            lines[number] = "{"
        path.write_text("\n".join([*lines, ""]), errors="surrogatepass")
    else:
        path.write_bytes(damaged_bytes(path.read_bytes(), rng))
