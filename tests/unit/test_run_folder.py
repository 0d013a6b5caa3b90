"""A run's folder: nothing lost, nothing asked twice, nothing gone on with that is another."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from longvideoagent.agents.config import AgentConfig, TeamConfig
from longvideoagent.core.trace import RolloutSettings
from longvideoagent.datasets.open_videos import order_by_video
from longvideoagent.errors import UsageError
from longvideoagent.evaluation.config import load_samples, make_eval_config, resolve
from longvideoagent.evaluation.runner import RunLimits
from longvideoagent.evaluation.store import open_run
from longvideoagent.fs import atomic_write_text
from tests.fakes.annotations import mlvu, nextqa
from tests.fakes.faulty_server import say, serving
from tests.fakes.release import CLIPS, some_questions, write_release
from tests.plugins.cli import LVA, lva
from tests.plugins.runs import asked, ids, lines, run


def test_every_question_is_asked_once_and_measured(release: Path, tmp_path: Path) -> None:
    summary = run(asked(release), tmp_path / "run")
    assert sorted(ids(tmp_path / "run")) == sorted(str(number) for number in range(12))
    assert (summary["questions"], summary["finished"], summary["accuracy"]["n"]) == (12, 12, 12)
    assert summary == json.loads((tmp_path / "run" / "summary.json").read_text())


def test_running_again_asks_for_nothing_that_is_there(release: Path, tmp_path: Path) -> None:
    first = run(asked(release), tmp_path / "run")
    before = (tmp_path / "run" / "traces.jsonl").read_bytes()
    assert run(asked(release), tmp_path / "run") == first
    assert (tmp_path / "run" / "traces.jsonl").read_bytes() == before


def test_questions_are_asked_episode_order_by_video(release: Path, tmp_path: Path) -> None:
    run(asked(release), tmp_path / "run", limits=RunLimits(concurrency=1))
    _, samples = load_samples(asked(release))
    assert ids(tmp_path / "run") == [sample.question.id for sample in order_by_video(samples)]
    videos = [sample.video for sample in order_by_video(samples)]
    assert videos == sorted(videos)
    assert videos != [sample.video for sample in samples]


def wordy_release(folder: Path) -> Path:
    """Questions, options and lines of many words each, drawn by chance, so that there is much to weigh."""
    dice = random.Random(3)
    words = [
        f"{one}{other}" for one in ("bra", "dul", "fen", "gor", "kil", "mop") for other in ("ck", "st", "nd", "lf")
    ]

    def say(count: int) -> str:
        return " ".join(dice.choices(words, k=count))

    records = [
        record | {"q": f"What {say(9)} ?"} | {f"a{index}": say(5) for index in range(5)}
        for record in some_questions(12)
    ]
    write_release(folder, records)
    told = {clip: " ".join(f"Otto : {say(8)}." for _ in range(9)) for clip in CLIPS}
    (folder / "LongTVQA_plus_subtitle_clip_level.json").write_text(json.dumps(told))
    return folder


def test_offline_agents_say_the_same_in_every_process(tmp_path: Path) -> None:
    release = wordy_release(tmp_path / "data")
    said = []
    for seed in "12":
        command = [str(LVA), "eval", str(release), "--run", str(tmp_path / seed)]
        command += ["--agents", "grounding", "--concurrency", "1"]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed})
        said.append(re.sub(r'"seconds":[\d.e-]+', "", (tmp_path / seed / "traces.jsonl").read_text()))
    assert said[0] == said[1]


def test_another_setting_is_refused_by_name(release: Path, tmp_path: Path) -> None:
    run(asked(release), tmp_path / "run")
    other = make_eval_config(release, "val", TeamConfig(), RolloutSettings(max_rounds=3), {"agents": "grounding"})
    with pytest.raises(UsageError, match=r"settings\.max_rounds: 5 -> 3"):
        run(other, tmp_path / "run")


def test_another_version_is_refused_by_name_and_another_python_is_not(release: Path, tmp_path: Path) -> None:
    run(asked(release, limit=5), tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"versions": config["versions"] | {"python": "3.9.0"}}))
    assert run(asked(release, limit=8), tmp_path / "run")["finished"] == 8
    assert json.loads(path.read_text())["versions"]["python"] == "3.9.0"
    path.write_text(json.dumps(config | {"versions": config["versions"] | {"longvideoagent": "0.0.1"}}))
    with pytest.raises(UsageError, match=r'versions\.longvideoagent: "0\.0\.1" -> "'):
        run(asked(release, limit=5), tmp_path / "run")


def changed_questions(release: Path) -> None:
    write_release(release, [record | {"q": "What does Otto drop ?"} for record in some_questions(12)])


def changed_gold(release: Path) -> None:
    write_release(release, [record | {"answer": "a2"} for record in some_questions(12)])


def changed_lines(release: Path) -> None:
    path = release / "LongTVQA_plus_subtitle_clip_level.json"
    path.write_text(path.read_text().replace("lantern", "saw"))


def changed_lengths(release: Path) -> None:
    (release / "clip_durations.json").write_text(json.dumps(dict.fromkeys(CLIPS, 59.0)))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (changed_questions, "questions_sha256"),
        (changed_gold, "gold_sha256"),
        (changed_lines, "subtitles_sha256"),
        (changed_lengths, "subtitles_sha256"),
    ],
)
def test_changed_data_is_refused_by_name(
    change: Callable[[Path], None], told: str, release: Path, tmp_path: Path
) -> None:
    run(asked(release), tmp_path / "run")
    change(release)
    with pytest.raises(UsageError, match=told):
        run(asked(release), tmp_path / "run")


@pytest.mark.parametrize(
    ("make", "root", "place", "name"),
    [
        (nextqa, "", "NExTVideo/1164", "talk.srt"),
        (nextqa, "", "videos", "talk.en.vtt"),
        (mlvu, "MLVU", "video/1_plotQA", "talk.srt"),
    ],
)
def test_changed_lines_beside_a_film_are_refused(
    make: Callable[[Path], None], root: str, place: str, name: str, tmp_path: Path, short_video: Path
) -> None:
    data = tmp_path / "data"
    beside = data / root / place / name
    beside.parent.mkdir(parents=True)
    make(data / root)
    shutil.copy(short_video, beside.with_name("talk.mp4"))
    beside.write_text("WEBVTT\n\n00:00:01.000 --> 00:00:03.000\nOtto: A rope.\n")
    run(asked(data), tmp_path / "run")
    assert "Otto: A rope." in (tmp_path / "run" / "traces.jsonl").read_text()
    beside.write_text(beside.read_text().replace("rope", "saw"))
    with pytest.raises(UsageError, match="subtitles_sha256"):
        run(asked(data), tmp_path / "run")


def test_changed_boxes_are_refused_where_they_are_told(release: Path, tmp_path: Path) -> None:
    plain, told = asked(release), asked(release, agents="grounding+vision", gold_boxes=True)
    run(plain, tmp_path / "plain")
    run(told, tmp_path / "told")
    write_release(release, [record | {"bbox": {}} for record in some_questions(12)])
    run(plain, tmp_path / "plain")
    with pytest.raises(UsageError, match="gold_sha256"):
        run(told, tmp_path / "told")


def test_changed_first_clips_are_refused(release: Path, tmp_path: Path) -> None:
    cache = tmp_path / "c.json"
    assert lva("data", "ground", release, "--split", "val", "--out", cache).returncode == 0
    run(asked(release, first_clip=f"cache={cache}"), tmp_path / "run")
    cache.write_text(cache.read_text().replace(CLIPS[1], CLIPS[0]))
    with pytest.raises(UsageError, match="first_clips_sha256"):
        run(asked(release, first_clip=f"cache={cache}"), tmp_path / "run")


def test_another_server_is_refused(release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    protocol = asked(release, TeamConfig(master=AgentConfig(model="openai:m")))
    with serving(say("<answer>a1</answer>")) as (url, server):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        run(protocol, tmp_path / "run")
        monkeypatch.setenv("OPENAI_BASE_URL", "http://me:secret@127.0.0.1:9/v1")
        with pytest.raises(UsageError, match=rf'servers\.master: "{url}" -> "http://127\.0\.0\.1:9/v1"'):
            run(protocol, tmp_path / "run")
    assert len(server.requests) == 12


def test_more_questions_are_asked_in_the_same_run(release: Path, tmp_path: Path) -> None:
    assert run(asked(release, limit=5), tmp_path / "run")["finished"] == 5
    assert run(asked(release, limit=8), tmp_path / "run")["questions"] == 8
    assert run(asked(release), tmp_path / "run")["finished"] == 12
    assert sorted(ids(tmp_path / "run"), key=int) == [str(number) for number in range(12)]
    with pytest.raises(UsageError, match=r"limit: null -> 8; questions: 12 -> 8"):
        run(asked(release, limit=8), tmp_path / "run")


def test_more_questions_behind_others_are_refused(release: Path, tmp_path: Path) -> None:
    run(asked(release, limit=5), tmp_path / "run")
    changed_questions(release)
    with pytest.raises(UsageError, match="questions_sha256"):
        run(asked(release, limit=8), tmp_path / "run")


def test_a_run_that_was_stopped_while_it_grew_is_read_as_it_was(release: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    run(asked(release, limit=5), path)
    before = (path / "config.json").read_bytes()
    run(asked(release), path)
    (path / "config.json").write_bytes(before)
    (path / "traces.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines(path)[:4]))
    assert run(asked(release, limit=5), path)["finished"] == 5


def test_each_trace_is_on_the_disk_before_the_next_question(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run" / "traces.jsonl"
    on_disk: list[int] = []
    sync = os.fsync

    def fsync(file: int) -> None:
        sync(file)
        if path.exists() and os.fstat(file).st_ino == path.stat().st_ino:
            on_disk.append(path.read_bytes().count(b"\n"))

    monkeypatch.setattr(os, "fsync", fsync)
    run(asked(release), tmp_path / "run", limits=RunLimits(concurrency=1))
    assert on_disk == list(range(1, 13))


def test_a_file_is_on_the_disk_before_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[int, bool]] = []
    sync = os.fsync

    def fsync(file: int) -> None:
        sync(file)
        synced.append((os.fstat(file).st_ino, (tmp_path / "told.txt").exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    atomic_write_text(tmp_path / "told.txt", "everything")
    assert synced == [((tmp_path / "told.txt").stat().st_ino, False), (tmp_path.stat().st_ino, True)]


def test_the_name_of_a_new_file_of_traces_is_on_the_disk(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"
    synced: list[tuple[int, list[str]]] = []
    sync = os.fsync

    def fsync(file: int) -> None:
        sync(file)
        synced.append((os.fstat(file).st_ino, sorted(each.name for each in path.iterdir())))

    data, samples = load_samples(asked(release))
    monkeypatch.setattr(os, "fsync", fsync)
    with open_run(path, partial(resolve, asked(release), data), samples):
        assert synced[-1] == (path.stat().st_ino, [".lock", "config.json", "questions.jsonl", "traces.jsonl"])


def test_a_second_process_is_refused(release: Path, tmp_path: Path) -> None:
    data, samples = load_samples(asked(release))
    configure = partial(resolve, asked(release), data)
    with open_run(tmp_path / "run", configure, samples), pytest.raises(UsageError, match="another process"):
        run(asked(release), tmp_path / "run")


def test_a_folder_of_other_things_is_refused(release: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds other files"):
        run(asked(release), tmp_path / "run")


def test_no_key_is_written(release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with serving(say("<answer>a1</answer>")) as (url, _):
        run(asked(release, TeamConfig(master=AgentConfig(model=f"openai:m@{url}"))), tmp_path / "run")
    assert all(b"sk-secret" not in path.read_bytes() for path in (tmp_path / "run").iterdir())
