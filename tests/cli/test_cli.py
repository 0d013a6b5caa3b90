"""The commands ``ask``, ``transcribe``, ``demo`` and ``doctor`` on real files."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from longvideoagent import ask
from longvideoagent.agents.master import ModelMaster
from longvideoagent.datasets.synthetic.episode import SyntheticEpisode
from longvideoagent.server.server import load_teams
from tests.fakes.faulty_server import say, serving
from tests.plugins.cli import LVA, lva, lva_process, refusal
from tests.plugins.environment import SHARED
from tests.plugins.media import write_video

ROOT = Path(__file__).resolve().parents[2]


def ask_json(*arguments: str | Path, **more: Any) -> dict[str, Any]:
    """What ``lva ask --json`` prints."""
    done = lva("ask", *arguments, "--json", **more)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    record = json.loads(line)
    assert isinstance(record, dict)
    return record


@pytest.fixture
def episode(sample_episode: SyntheticEpisode) -> SyntheticEpisode:
    return sample_episode


def test_ask_json_keys(episode: SyntheticEpisode) -> None:
    sample = next(sample for sample in episode.samples if sample.kind == "both")
    options = [part for option in sample.question.options for part in ("--option", option)]
    record = ask_json(episode.video, sample.question.text, *options)
    schema = json.loads((ROOT / "docs" / "trace.schema.json").read_text())
    definition = schema["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    assert set(record) == set(definition["properties"])
    assert record["outcome"] == "answered"
    assert record["option_index"] == sample.gold.option_index
    assert record["answer"] == sample.gold.answer
    grounding = record["first_grounding"]
    assert grounding["clip"] == sample.gold.clip
    assert 0 <= record["confidence"] <= 1
    assert {each["kind"] for each in record["evidence"]} == {"subtitle", "frame"}
    for each in record["evidence"]:
        names = {"clip", "start_s", "end_s", "kind", "time_s", "text", "video", "label", "num_at_once"}
        assert set(each) == names
        assert grounding["window"][0]["start_s"] - 1 <= each["time_s"] <= grounding["window"][-1]["end_s"] + 1
    assert [each["action"] for each in record["rounds"]] == ["look", "answer"]
    assert set(record["rounds"][0]) == {"thought", "action", "argument", "observation", "clip", "context_text", "reply"}


def test_ask_steps_before_answer(episode: SyntheticEpisode) -> None:
    done = lva("ask", episode.video, "Who is late?")
    assert done.returncode == 0
    assert done.stdout.index("located") < done.stdout.index("answer") < done.stdout.index("= ")


def test_ask_html_self_contained(episode: SyntheticEpisode, tmp_path: Path) -> None:
    page = tmp_path / "deep" / "page.html"
    done = lva("ask", episode.video, "What does the sign say?", "--html", page)
    assert done.returncode == 0
    text = page.read_text()
    assert "data:image/jpeg;base64," in text
    (video,) = re.findall(r"(?:src|href)=\"(?!data:)([^\"]*)\"", text)  # all but the player's file is inside
    assert (page.parent / unquote(video)).resolve() == episode.video.resolve()


def test_python_api_same_answer(episode: SyntheticEpisode) -> None:
    sample = next(sample for sample in episode.samples if sample.kind == "dialogue")
    trace = ask(episode.video, sample.question.text, sample.question.options)
    assert trace.answer == sample.gold.answer
    assert trace.evidence


def test_ask_frame_folder(tmp_path: Path) -> None:
    for number in range(12):
        Image.fromarray(np.full((48, 64, 3), (200, 30, 30), np.uint8)).save(tmp_path / f"{number + 1:05}.jpg")
    record = ask_json(tmp_path, "Which colour is shown?")
    assert "red" in record["answer"]
    (clip,) = record["first_grounding"]["window"]
    assert (clip["label"], clip["start_s"], clip["end_s"]) == ("c01", 0.0, 4.0)


@pytest.fixture(scope="module")
def quick_ask(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A video and options of ``ask`` that are answered without looking, for tests that need a process."""
    folder = tmp_path_factory.mktemp("quick")
    write_video(folder / "v.mp4", range(0, 1000, 40))
    (folder / "v.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    (folder / "script.json").write_text('["<answer>hello</answer>"]')
    return [str(folder / "v.mp4"), "--master", f"scripted:{folder / 'script.json'}"]


# --- bad input: an answer and a warning where one is possible --------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.srt", b""),
        ("binary.srt", bytes(range(256)) * 30),
        ("prose.srt", b"Dear diary"),
        ("beyond.srt", b"1\n01:00:00,000 --> 01:00:01,000\nlate\n"),
    ],
)
def test_ask_unusable_subtitles_warning(name: str, content: bytes, short_video: Path, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    record = ask_json(short_video, "Which colour is shown?", "--subtitles", tmp_path / name)
    assert record["outcome"] == "answered"
    assert any("ignored" in warning for warning in record["warnings"])


def test_ask_question_too_long_warning(short_video: Path) -> None:
    record = ask_json(short_video, "what happens here " * 5600)
    assert any("100800 characters" in warning or "100799 characters" in warning for warning in record["warnings"])


@pytest.mark.parametrize(
    ("options", "warning"),
    [
        (["grey"], "only one option"),
        (["grey", "Grey", "red"], "equal"),
        ([f"thing {n}" for n in range(11)] + ["grey"], None),
    ],
)
def test_ask_option_counts(options: list[str], warning: str | None, short_video: Path) -> None:
    record = ask_json(short_video, "What colour is shown?", *(part for option in options for part in ("-o", option)))
    assert record["answer"].lower() == "grey"
    assert record["outcome"] == "answered"
    assert [text for text in record["warnings"] if warning and warning in text] or not warning


def test_ask_truncated_video(tmp_path: Path) -> None:
    path = tmp_path / "cut.mkv"
    write_video(path, range(0, 8000, 40))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert ask_json(path, "Which colour is shown?")["outcome"] == "answered"


# --- bad input: one line that names the thing and the fix ------------------------------------------


def test_ask_not_a_video(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    write_video(tmp_path / "whole.mp4", range(0, 1000, 40))
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "no_moov.mp4").write_bytes(data[: data.index(b"moov") - 4])
    for name in ("missing.mp4", "text.mp4", "empty.mp4", "folder", "no_moov.mp4"):
        line = refusal("ask", tmp_path / name, "What happens?")
        assert name in line
        assert ";" in line


def folder_of_frames(folder: Path) -> Path:
    (folder / "frames").mkdir()
    Image.new("RGB", (64, 48)).save(folder / "frames" / "00001.jpg")
    return folder / "frames"


def test_ask_question_not_utf8(quick_ask: list[str]) -> None:
    done = lva_process("ask", *quick_ask, b"caf\xe9", "--json")
    assert done.returncode == 0, done.stderr


def test_demo_folder_not_writable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "file" in refusal("demo", "--folder", tmp_path / "file" / "x")


def test_ask_invalid_arguments(short_video: Path, tmp_path: Path) -> None:
    assert "nowhere.srt" in refusal("ask", short_video, "What?", "--subtitles", tmp_path / "nowhere.srt")
    assert "'latin-99': not known; use" in refusal("ask", short_video, "What?", "--encoding", "latin-99")
    assert "question is empty" in refusal("ask", short_video, "  ")
    assert "option is empty" in refusal("ask", short_video, "What?", "-o", "a", "-o", " ")
    assert "not a frame rate" in refusal("ask", folder_of_frames(tmp_path), "What?", "--frames-per-s", "inf")
    assert "x" * 300 in refusal("ask", "x" * 300, "What?")
    assert "~no-such-person" in refusal("ask", "~no-such-person/v.mp4", "What?")
    assert "'nobody'" in refusal("ask", short_video, "What?", "--team", "nobody")


def test_ask_html_path_invalid(short_video: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "page.html" in refusal("ask", short_video, "What happens?", "--html", tmp_path / "file" / "page.html")
    assert "end in .html" in refusal("ask", short_video, "What happens?", "--html", tmp_path)


def test_ask_html_not_written_on_error(tmp_path: Path) -> None:
    refusal("ask", tmp_path / "missing.mp4", "What happens?", "--html", tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_ask_html_never_overwrites_video(short_video: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(short_video.read_bytes())
    refusal("ask", film, "What happens?", "--html", film)
    assert film.read_bytes() == short_video.read_bytes()


@pytest.mark.parametrize("buffering", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("arguments", [["doctor"], ["ask", "What?"], ["ask", "What?", "--json"]], ids=" ".join)
def test_disk_full_one_line(arguments: list[str], buffering: dict[str, str], quick_ask: list[str]) -> None:
    command = [str(LVA), arguments[0], *(quick_ask if arguments[0] == "ask" else []), *arguments[1:]]
    environment = {"PATH": os.environ["PATH"], **buffering}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=environment)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("lva: error: ")
    assert "No space left" in line


def test_closed_pipe_no_error(quick_ask: list[str]) -> None:
    command = f"{shlex.join([str(LVA), 'ask', *quick_ask, 'What?'])} | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_ask_url_refused() -> None:
    assert "download the video" in refusal("ask", "https://example.com/v.mp4", "What happens?")


def test_ask_equal_options_first_wins(short_video: Path) -> None:
    assert ask_json(short_video, "Which?", "-o", "same", "-o", "Same")["option_index"] == 0


def test_ask_guess_without_evidence(short_video: Path) -> None:
    record = ask_json(short_video, "Which?", "-o", "harbor", "-o", "castle")
    assert record["confidence"] == 0.5
    assert record["evidence"] == []
    assert (
        "nothing in the video supports it" in lva("ask", short_video, "Which?", "-o", "harbor", "-o", "castle").stdout
    )


def test_version() -> None:
    assert re.fullmatch(r"lva \d+\.\d+\.\d+\n", lva("--version").stdout)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("ask", "Missing argument 'video'; see lva ask --help"),
        ("ask a.mp4 why more", "Got unexpected extra argument"),
        ("ask a.mp4 why --max-rounds 0", "--max-rounds"),
        ("ask a.mp4 why --team", "--team"),
        ("asks", "No such command 'asks'"),
        ("data --sideways", "No such option"),
    ],
)
def test_command_line_invalid_in_one_line(line: str, problem: str) -> None:
    message = refusal(*line.split())
    assert problem in message
    assert "; see lva" in message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ask", "Missing argument 'video'"),
        ("ask a b --max-rounds 0", "--max-rounds"),
        ("ask a b --max-rounds x", "--max-rounds"),
        ("eval data --limit", "--limit"),
        ("ask a b --dry", "--dry-run"),
        ("layout bar", "'bar'"),
        ("layout show a b", "(b)"),
        ("doctor --preset qwen3-4b --gpu-memory-gib nan", "--gpu-memory-gib"),
        ("bar", "'bar'"),
    ],
)
def test_command_line_wrong(line: str, message: str) -> None:
    error = refusal(*line.split())
    assert message in error
    assert error.endswith(" --help")


@pytest.mark.parametrize("group", ["", "data", "layout"])
def test_group_without_command_shows_help(group: str) -> None:
    done = lva(*group.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: lva")
    assert "--help" in done.stderr


# --- the other commands ----------------------------------------------------------------------------


@pytest.mark.slow
def test_demo_all_answers_correct(tmp_path: Path) -> None:
    done = lva("demo", "--minutes", "4", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "4 of 4 answers are correct" in done.stdout
    assert (tmp_path / "demo" / "demo.html").read_text().count("<article>") == 4


def test_doctor_nothing_broken() -> None:
    done = lva("doctor")
    assert done.returncode == 0
    for part in ("longvideoagent", "ffmpeg", "text recognition", "GPU", "OPENAI_API_KEY", "extra dev"):
        assert part in done.stdout


@pytest.mark.slow
@pytest.mark.shared
def test_ask_real_footage() -> None:
    suffixes = (".mp4", ".mkv", ".avi", ".webm", ".mov")
    for path in sorted(path for path in (SHARED / "media").iterdir() if path.suffix in suffixes):
        record = ask_json(path, "What happens here?")
        assert record["outcome"] == "answered" or record["hint"], path
    assert "108" in ask_json(SHARED / "media" / "boats.mp4", "What number is written on the boat?")["answer"]


def test_ask_scripted_master(short_video: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text('["<think>why</think><visual_query>colours</visual_query>", "<answer>grey</answer>"]')
    record = ask_json(short_video, "What colour?", "--master", f"scripted:{script}")
    assert (record["answer"], [each["action"] for each in record["rounds"]]) == ("grey", ["look", "answer"])


def test_ask_agent_failure_status(short_video: Path, tmp_path: Path) -> None:
    (tmp_path / "script.json").write_text("[]")
    done = lva("ask", short_video, "What?", "--json", "--master", f"scripted:{tmp_path / 'script.json'}")
    assert done.returncode == 1
    record = json.loads(done.stdout)
    assert (record["outcome"], record["answer"]) == ("failed", "")
    assert record["cause"].startswith("master: the script ends")


def test_ask_budget_spent(short_video: Path) -> None:
    record = ask_json(short_video, "What colour?", "-o", "harbor", "-o", "castle", "--max-calls", "1")
    assert (record["outcome"], record["cause"]) == ("spent", "2 of 1 calls used")


def test_ask_budget_final_answer(short_video: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps(["<search>x</search>", "<answer>a0</answer>"]))
    done = lva(
        "ask", short_video, "What?", "-o", "red", "-o", "grey", "--master", f"scripted:{script}", "--max-calls", "3"
    )
    assert done.returncode == 0, done.stderr
    assert "= a0 red" in done.stdout
    assert "answered at the end of its budget: 3 of 3 calls used" in " ".join(done.stdout.split())


def test_ask_dry_run_piped_is_not_wrapped(short_video: Path) -> None:
    name = "m" * 200
    done = lva("ask", short_video, "What?", "--master", f"openai:{name}@http://h/v1", "--dry-run")
    (master,) = [line for line in done.stdout.splitlines() if line.startswith("master")]
    assert f"openai:{name}@http://h/v1" in master
    assert "no price" in master


def test_ask_dry_run(short_video: Path, tmp_path: Path) -> None:
    (tmp_path / "team.toml").write_text(
        '[master]\nmodel = "openai:a@http://127.0.0.1:9/v1"\n'
        "[prices.a]\nprompt_usd_per_mtok = 1.0\ncompletion_usd_per_mtok = 2.0\n"
    )
    done = lva("ask", short_video, "What?", "--team", tmp_path / "team.toml", "--dry-run", "--max-usd", "0.5")
    assert done.returncode == 0, done.stderr
    assert re.search(r"master +openai:a\S* +5 +0 +[\d,]+ +5,120 +0\.\d{4}", done.stdout)
    assert "Nothing was asked." in done.stdout


def test_ask_max_usd_without_price(short_video: Path) -> None:
    done = lva("ask", short_video, "What?", "--master", "openai:a@http://host:9/v1", "--max-usd", "1")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert '[prices."a"]' in done.stderr
    done = lva("ask", short_video, "What?", "--max-usd", "0")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_ask_reply_limit(short_video: Path) -> None:
    cut = {"finish_reason": "length"}
    options = ("--max-reply-tokens", "700", "--max-rounds", "2", "--no-cache")
    with serving(say("", cut)) as (url, server):
        hidden = lva("ask", short_video, "What colour?", "--master", f"openai:m@{url}", *options)
        assert [request["max_tokens"] for request in server.requests] == [700]
    assert hidden.returncode == 1
    assert "cut at 700 tokens inside hidden reasoning; raise --max-reply-tokens" in " ".join(hidden.stdout.split())
    with serving(say("", cut, reasoning_content="hm")) as (url, server):
        visible = lva("ask", short_video, "What colour?", "--master", f"openai:m@{url}", *options)
        assert len(server.requests) == 2
    assert visible.returncode == 0
    assert visible.stderr.count("cut at 700 tokens inside its reasoning; raise --max-reply-tokens") == 1


def test_eval_reply_limit(release: Path, tmp_path: Path) -> None:
    options = ("--max-reply-tokens", "700", "--limit", "1", "--run", tmp_path / "run", "--no-cache")
    with serving(say("<answer>a1")) as (url, server):
        done = lva("eval", release, "--master", f"openai:m@{url}", *options)
        assert done.returncode == 0, done.stderr
        assert {request["max_tokens"] for request in server.requests} == {700}
    team = json.loads((tmp_path / "run" / "config.json").read_text())["team"]
    assert [team[agent]["max_tokens"] for agent in ("master", "grounding")] == [700, None]


def test_server_reply_limit(tmp_path: Path) -> None:
    (tmp_path / "team.toml").write_text('[master]\nmodel = "openai:m@http://127.0.0.1:1/v1"')
    name = str(tmp_path / "team.toml")
    master = load_teams([name], 700, is_cached=False)[name].master
    assert isinstance(master, ModelMaster)
    assert master.settings.max_tokens == 700


def test_ask_prompt_file(short_video: Path, tmp_path: Path) -> None:
    (tmp_path / "prompt.txt").write_text("My own words: $question")
    with serving(say("<answer>grey</answer>")) as (url, server):
        prompt, master = ("--prompt-file", tmp_path / "prompt.txt"), ("--master", f"openai:m@{url}")
        record = ask_json(short_video, "What colour?", *prompt, *master, "--no-cache")
    assert record["answer"] == "grey"
    assert server.requests[0]["messages"] == [{"role": "user", "content": "My own words: What colour?"}]
    done = lva("ask", short_video, "What?", "--prompt-file", tmp_path / "none.txt", "--master", "openai:m@http://x/v1")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_ask_parallel_looks(episode: SyntheticEpisode) -> None:
    sample = next(sample for sample in episode.samples if sample.kind == "both")
    options = [part for option in sample.question.options for part in ("--option", option)]
    record = ask_json(episode.video, sample.question.text, *options, "--parallel-looks", "3")
    assert record["option_index"] == sample.gold.option_index


def test_transcribe_invalid_input(short_video: Path, tmp_path: Path) -> None:
    for arguments in ([tmp_path / "none.mp4"], [short_video, "--out", short_video]):
        done = lva("transcribe", *arguments)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_ask_model_spec_invalid(short_video: Path, tmp_path: Path) -> None:
    (tmp_path / "script.json").write_text('{"a": 1}')
    assert "scripted:FILE" in refusal("ask", short_video, "What?", "--master", "oracle:x")
    assert "begin it with http" in refusal("ask", short_video, "What?", "--vision", "openai:m@host")
    assert "JSON list" in refusal("ask", short_video, "What?", "--master", f"scripted:{tmp_path / 'script.json'}")
    assert "nowhere.json" in refusal("ask", short_video, "What?", "--master", "scripted:nowhere.json")
