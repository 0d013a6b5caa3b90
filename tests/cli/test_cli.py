"""The command as a person types it, on real files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from longvideoagent import ask
from longvideoagent.datasets.synthetic.episode import SampleEpisode, make_episode
from tests.conftest import SHARED, write_video
from tests.fakes.faulty_server import say, serving

LVA = Path(sys.executable).parent / "lva"


def lva(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([LVA, *arguments], capture_output=True, text=True, check=False, cwd=cwd, timeout=300)


def told(*arguments: str | Path) -> dict[str, Any]:
    done = lva("ask", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def episode(tmp_path_factory: pytest.TempPathFactory) -> SampleEpisode:
    return make_episode(tmp_path_factory.mktemp("sample"), seed=3, minutes=4, questions_per_kind=1)


def test_json_is_one_object_with_the_documented_keys(episode: SampleEpisode) -> None:
    sample = next(sample for sample in episode.samples if sample.kind == "both")
    options = [part for option in sample.question.options for part in ("--option", option)]
    found = told(episode.video, sample.question.text, *options)
    assert set(found) == {
        "question", "options", "answer", "option", "option_index", "confidence", "outcome", "cause", "evidence",
        "rounds", "grounding", "usage", "warnings",
    }  # fmt: skip
    assert found["outcome"] == "answered"
    assert found["option"] == f"a{sample.gold.option_index}"
    assert found["answer"] == sample.gold.answer
    assert found["grounding"]["clip"] == sample.gold.clip
    assert 0 <= found["confidence"] <= 1
    assert {each["kind"] for each in found["evidence"]} == {"subtitle", "frame"}
    for each in found["evidence"]:
        assert set(each) == {"clip", "start_s", "end_s", "kind", "time_s", "text"}
        assert found["grounding"]["start_s"] - 1 <= each["time_s"] <= found["grounding"]["end_s"] + 1
    assert [each["action"] for each in found["rounds"]] == ["look", "answer"]
    assert set(found["rounds"][0]) == {"thought", "action", "content", "observation", "clip", "seconds"}


def test_steps_are_shown_and_the_answer_stands_last(episode: SampleEpisode) -> None:
    done = lva("ask", episode.video, "Who is late?")
    assert done.returncode == 0
    assert done.stdout.index("located") < done.stdout.index("answer") < done.stdout.index("= ")


def test_html_is_one_file_without_outside_requests(episode: SampleEpisode, tmp_path: Path) -> None:
    page = tmp_path / "deep" / "page.html"
    done = lva("ask", episode.video, "What does the sign say?", "--html", page)
    assert done.returncode == 0
    text = page.read_text()
    assert "data:image/jpeg;base64," in text
    assert not re.search(r"(?:src|href)=\"(?!data:)", text)


def test_the_python_face_gives_the_same_answer(episode: SampleEpisode) -> None:
    sample = next(sample for sample in episode.samples if sample.kind == "dialogue")
    trace = ask(episode.video, sample.question.text, sample.question.options)
    assert trace.answer == sample.gold.answer
    assert trace.evidence


def test_a_folder_of_frames_can_be_asked(tmp_path: Path) -> None:
    for number in range(12):
        Image.fromarray(np.full((48, 64, 3), (200, 30, 30), np.uint8)).save(tmp_path / f"{number + 1:05}.jpg")
    found = told(tmp_path, "What is shown?")
    assert "red" in found["answer"]
    assert found["grounding"] == {"clip": "c01", "start_s": 0.0, "end_s": 4.0}


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
def test_subtitles_that_are_of_no_use_are_ignored_with_a_warning(
    name: str, content: bytes, short_video: Path, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    found = told(short_video, "What happens here?", "--subtitles", tmp_path / name)
    assert found["outcome"] == "answered"
    assert any("ignored" in warning for warning in found["warnings"])


def test_a_very_long_question_is_cut_with_a_warning(short_video: Path) -> None:
    found = told(short_video, "what happens here " * 5600)
    assert any("100800 characters" in warning or "100799 characters" in warning for warning in found["warnings"])


@pytest.mark.parametrize(
    ("options", "warning"),
    [
        (["grey"], "only one option"),
        (["grey", "Grey", "red"], "equal"),
        ([f"thing {n}" for n in range(11)] + ["grey"], None),
    ],
)
def test_odd_numbers_of_options(options: list[str], warning: str | None, short_video: Path) -> None:
    found = told(short_video, "What colour is shown?", *(part for option in options for part in ("-o", option)))
    assert found["answer"].lower() == "grey"
    assert found["outcome"] == "answered"
    assert [text for text in found["warnings"] if warning and warning in text] or not warning


def test_a_damaged_file_is_answered_from_what_is_left(tmp_path: Path) -> None:
    path = tmp_path / "cut.mkv"
    write_video(path, range(0, 20_000, 40))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert told(path, "What happens here?")["outcome"] == "answered"


# --- bad input: one line that names the thing and the mend -----------------------------------------


def refused(*arguments: str | Path) -> str:
    done = lva(*arguments)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("lva: error: ")
    return line


def test_what_is_no_video_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no film")
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    write_video(tmp_path / "whole.mp4", range(0, 1000, 40))
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "no_moov.mp4").write_bytes(data[: data.index(b"moov") - 4])
    for name in ("missing.mp4", "text.mp4", "empty.mp4", "folder", "no_moov.mp4"):
        line = refused("ask", tmp_path / name, "What happens?")
        assert name in line
        assert ";" in line


def folder_of_frames(folder: Path) -> Path:
    (folder / "frames").mkdir()
    Image.new("RGB", (64, 48)).save(folder / "frames" / "00001.jpg")
    return folder / "frames"


def test_bytes_that_are_no_text_can_be_asked(short_video: Path) -> None:
    done = subprocess.run([LVA, "ask", short_video, b"caf\xe9", "--json"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_demo_needs_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "file" in refused("demo", "--folder", tmp_path / "file" / "x")


def test_other_impossible_calls_are_refused_in_one_line(short_video: Path, tmp_path: Path) -> None:
    assert "nowhere.srt" in refused("ask", short_video, "What?", "--subtitles", tmp_path / "nowhere.srt")
    assert "question is empty" in refused("ask", short_video, "  ")
    assert "option is empty" in refused("ask", short_video, "What?", "-o", "a", "-o", " ")
    assert "not a rate" in refused("ask", folder_of_frames(tmp_path), "What?", "--frames-per-s", "inf")
    assert "x" * 300 in refused("ask", "x" * 300, "What?")
    assert "~no-such-person" in refused("ask", "~no-such-person/v.mp4", "What?")
    assert "'nobody'" in refused("ask", short_video, "What?", "--team", "nobody")


def test_a_page_that_cannot_be_written_is_refused(short_video: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "page.html" in refused("ask", short_video, "What happens?", "--html", tmp_path / "file" / "page.html")
    assert "end in .html" in refused("ask", short_video, "What happens?", "--html", tmp_path)


def test_a_page_of_an_ask_that_failed_is_not_left_empty(tmp_path: Path) -> None:
    refused("ask", tmp_path / "missing.mp4", "What happens?", "--html", tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_page_never_takes_the_place_of_another_kind_of_file(short_video: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(short_video.read_bytes())
    refused("ask", film, "What happens?", "--html", film)
    assert film.read_bytes() == short_video.read_bytes()


@pytest.mark.parametrize("buffering", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("arguments", [["doctor"], ["ask", "What?"], ["ask", "What?", "--json"]], ids=" ".join)
def test_a_full_disk_is_one_line(arguments: list[str], buffering: dict[str, str], short_video: Path) -> None:
    command = [str(LVA), arguments[0], *([str(short_video)] if arguments[0] == "ask" else []), *arguments[1:]]
    environment = {"PATH": os.environ["PATH"], **buffering}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=environment)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("lva: error: ")
    assert "No space left" in line


def test_a_reader_that_goes_away_is_no_error(short_video: Path) -> None:
    done = subprocess.run(
        f"{LVA} ask {short_video} What? | head -1", shell=True, capture_output=True, text=True, check=False
    )
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_an_address_is_not_a_file() -> None:
    assert "download the video" in refused("ask", "https://example.com/v.mp4", "What happens?")


def test_the_first_of_equal_options_stands_for_all(short_video: Path) -> None:
    assert told(short_video, "Which?", "-o", "same", "-o", "Same")["option"] == "a0"


def test_a_guess_says_so_and_cites_nothing(short_video: Path) -> None:
    found = told(short_video, "Which?", "-o", "harbor", "-o", "castle")
    assert found["confidence"] == 0.5
    assert found["evidence"] == []
    assert (
        "nothing in the video supports it" in lva("ask", short_video, "Which?", "-o", "harbor", "-o", "castle").stdout
    )


def test_the_version_is_told() -> None:
    assert re.fullmatch(r"lva \d+\.\d+\.\d+\n", lva("--version").stdout)


def test_usage_mistakes_end_with_status_2() -> None:
    assert lva("ask").returncode == 2
    assert lva("ask", "v.mp4", "q", "--max-rounds", "0").returncode == 2


# --- the other commands ----------------------------------------------------------------------------


def test_the_demo_answers_its_four_questions_right(tmp_path: Path) -> None:
    done = lva("demo", "--minutes", "4", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "4 of 4 answers are right" in done.stdout
    assert (tmp_path / "demo" / "demo.html").read_text().count("<article>") == 4


def test_the_doctor_finds_nothing_broken() -> None:
    done = lva("doctor")
    assert done.returncode == 0
    for part in ("longvideoagent", "ffmpeg", "text recognition", "GPU", "OPENAI_API_KEY", "extra dev"):
        assert part in done.stdout


@pytest.mark.slow
@pytest.mark.shared
def test_real_footage_can_be_asked() -> None:
    suffixes = (".mp4", ".mkv", ".avi", ".webm", ".mov")
    for path in sorted(path for path in (SHARED / "media").iterdir() if path.suffix in suffixes):
        assert told(path, "What happens here?")["outcome"] == "answered", path
    assert "108" in told(SHARED / "media" / "boats.mp4", "What number is written on the boat?")["answer"]


def test_a_scripted_master_can_be_played(short_video: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text('["<think>why</think><visual_query>colours</visual_query>", "<answer>grey</answer>"]')
    found = told(short_video, "What colour?", "--master", f"scripted:{script}")
    assert (found["answer"], [each["action"] for each in found["rounds"]]) == ("grey", ["look", "answer"])


def test_an_agent_that_is_down_ends_with_status_1(short_video: Path, tmp_path: Path) -> None:
    (tmp_path / "script.json").write_text("[]")
    done = lva("ask", short_video, "What?", "--json", "--master", f"scripted:{tmp_path / 'script.json'}")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert (found["outcome"], found["answer"]) == ("failed", "")
    assert found["cause"].startswith("master: the script ends")


def test_a_budget_ends_the_loop_as_spent(short_video: Path) -> None:
    found = told(short_video, "What colour?", "-o", "harbor", "-o", "castle", "--max-calls", "1")
    assert (found["outcome"], found["cause"]) == ("spent", "2 of 1 calls used")


def test_a_budget_leaves_the_last_word_to_the_master(short_video: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps(["<search>x</search>", "<answer>a0</answer>"]))
    done = lva(
        "ask", short_video, "What?", "-o", "red", "-o", "grey", "--master", f"scripted:{script}", "--max-calls", "3"
    )
    assert done.returncode == 0, done.stderr
    assert "= a0 red" in done.stdout
    assert "as far as its budget went: 3 of 3 calls used" in " ".join(done.stdout.split())


def test_a_dry_run_asks_nothing(short_video: Path, tmp_path: Path) -> None:
    (tmp_path / "team.toml").write_text(
        '[master]\nmodel = "openai:a@http://127.0.0.1:9/v1"\n[prices.a]\nprompt = 1.0\ncompletion = 2.0\n'
    )
    done = lva("ask", short_video, "What?", "--team", tmp_path / "team.toml", "--dry-run", "--max-usd", "0.5")
    assert done.returncode == 0, done.stderr
    assert re.search(r"master +openai:a\S* +5 +0 +[\d,]+ +5,120 +0\.\d{4}", done.stdout)
    assert "Nothing was asked." in done.stdout


def test_dollars_without_a_price_are_refused_in_one_line(short_video: Path) -> None:
    done = lva("ask", short_video, "What?", "--master", "openai:a@http://127.0.0.1:9/v1", "--max-usd", "1")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert '[prices."a"]' in done.stderr
    done = lva("ask", short_video, "What?", "--max-usd", "0")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_another_wording_can_be_given(short_video: Path, tmp_path: Path) -> None:
    (tmp_path / "prompt.txt").write_text("My own words: $question")
    with serving(say("<answer>grey</answer>")) as (url, server):
        prompt, master = ("--prompt-file", tmp_path / "prompt.txt"), ("--master", f"openai:m@{url}")
        found = told(short_video, "What colour?", *prompt, *master, "--no-cache")
    assert found["answer"] == "grey"
    assert server.got[0]["messages"] == [{"role": "user", "content": "My own words: What colour?"}]
    done = lva("ask", short_video, "What?", "--prompt-file", tmp_path / "none.txt", "--master", "openai:m@http://x/v1")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_candidates_can_be_looked_at_ahead(episode: SampleEpisode) -> None:
    sample = next(sample for sample in episode.samples if sample.kind == "both")
    options = [part for option in sample.question.options for part in ("--option", option)]
    found = told(episode.video, sample.question.text, *options, "--parallel-looks", "3")
    assert found["option"] == f"a{sample.gold.option_index}"


def test_what_cannot_be_transcribed_is_refused_in_one_line(short_video: Path, tmp_path: Path) -> None:
    for arguments in ([tmp_path / "none.mp4"], [short_video, "--out", short_video]):
        done = lva("transcribe", *arguments)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_the_line_that_serves_a_checkpoint_is_told() -> None:
    assert lva("doctor", "--preset", "qwen3-4b").stdout.startswith("vllm serve longvideoagent/")
    assert "no such preset" in refused("doctor", "--preset", "x")


def test_a_master_that_cannot_be_is_refused(short_video: Path, tmp_path: Path) -> None:
    (tmp_path / "script.json").write_text('{"a": 1}')
    assert "scripted:FILE" in refused("ask", short_video, "What?", "--master", "oracle:x")
    assert "begin it with http" in refused("ask", short_video, "What?", "--vision", "openai:m@host")
    assert "JSON list" in refused("ask", short_video, "What?", "--master", f"scripted:{tmp_path / 'script.json'}")
    assert "nowhere.json" in refused("ask", short_video, "What?", "--master", "scripted:nowhere.json")
