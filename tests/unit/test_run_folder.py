"""Run folders: nothing lost, nothing asked twice, no other run resumed."""

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
from longvideoagent.datasets.base import DatasetOptions
from longvideoagent.datasets.open_videos import order_by_video
from longvideoagent.errors import UsageError
from longvideoagent.evaluation.config import load_samples, make_eval_config, resolve
from longvideoagent.evaluation.replay import open_recorded_video
from longvideoagent.evaluation.runner import RunLimits
from longvideoagent.evaluation.store import open_run
from longvideoagent.fs import atomic_write_text
from longvideoagent.views.differences import differences
from tests.fakes.annotations import mlvu, nextqa
from tests.fakes.faulty_server import say, serving
from tests.fakes.release import CLIPS, some_questions, write_release
from tests.plugins.cli import LVA, lva
from tests.plugins.runs import eval_config, ids, lines, run


def test_run_asks_every_question_once(release: Path, tmp_path: Path) -> None:
    summary = run(eval_config(release), tmp_path / "run")
    assert sorted(ids(tmp_path / "run")) == sorted(str(number) for number in range(12))
    assert (summary["num_questions"], summary["num_finished"], summary["accuracy"]["num_questions"]) == (12, 12, 12)
    assert summary == json.loads((tmp_path / "run" / "summary.json").read_text())


def test_resume_asks_nothing_again(release: Path, tmp_path: Path) -> None:
    first = run(eval_config(release), tmp_path / "run")
    before = (tmp_path / "run" / "traces.jsonl").read_bytes()
    assert run(eval_config(release), tmp_path / "run") == first
    assert (tmp_path / "run" / "traces.jsonl").read_bytes() == before


def test_run_order_is_by_video(release: Path, tmp_path: Path) -> None:
    run(eval_config(release), tmp_path / "run", limits=RunLimits(concurrency=1))
    _, samples = load_samples(eval_config(release))
    assert ids(tmp_path / "run") == [sample.question.id for sample in order_by_video(samples)]
    videos = [sample.video for sample in order_by_video(samples)]
    assert videos == sorted(videos)
    assert videos != [sample.video for sample in samples]


def write_wordy_release(folder: Path) -> Path:
    """Questions, options and lines of many random words each, so that many scores are summed."""
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
    lines_by_clip = {clip: " ".join(f"Otto : {say(8)}." for _ in range(9)) for clip in CLIPS}
    (folder / "LongTVQA_plus_subtitle_clip_level.json").write_text(json.dumps(lines_by_clip))
    return folder


def test_offline_run_is_deterministic(tmp_path: Path) -> None:
    release = write_wordy_release(tmp_path / "data")
    traces = []
    for seed in "12":
        command = [str(LVA), "eval", str(release), "--run", str(tmp_path / seed)]
        command += ["--agents", "grounding", "--concurrency", "1"]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed})
        traces.append(re.sub(r'"seconds":[\d.e-]+', "", (tmp_path / seed / "traces.jsonl").read_text()))
    assert traces[0] == traces[1]


def test_resume_other_setting(release: Path, tmp_path: Path) -> None:
    run(eval_config(release), tmp_path / "run")
    other = make_eval_config(release, "val", TeamConfig(), RolloutSettings(max_rounds=3), {"agents": "grounding"})
    with pytest.raises(UsageError, match=r"settings\.max_rounds: 5 -> 3"):
        run(other, tmp_path / "run")


def test_data_options_recorded(release: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    (release / "LongTVQA_plus_subtitle_clip_level.json").rename(file)
    for name in ("run", "other"):
        options = DatasetOptions("longtvqa-plus", file)
        run(eval_config(release, data_options=options, limit=2), tmp_path / name)
        recorded = json.loads((tmp_path / name / "config.json").read_text())
        assert (recorded["data_set"], recorded["subtitles_file"]) == ("longtvqa-plus", str(file))
        if name == "run":
            first = recorded
            line = open_recorded_video(tmp_path / "run", "0").timeline.subtitles[0]
            assert line.text == "Mira: The bakery is closed."
            file.write_text(file.read_text().replace("bakery", "museum"))
    assert recorded["subtitles_sha256"] != first["subtitles_sha256"]
    with pytest.raises(UsageError, match="subtitles_file: "):
        run(eval_config(release, limit=2), tmp_path / "other")


def test_resume_other_version(release: Path, tmp_path: Path) -> None:
    run(eval_config(release, limit=5), tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"versions": config["versions"] | {"python": "3.9.0"}}))
    assert run(eval_config(release, limit=8), tmp_path / "run")["num_finished"] == 8
    assert json.loads(path.read_text())["versions"]["python"] == "3.9.0"
    path.write_text(json.dumps(config | {"versions": config["versions"] | {"longvideoagent": "0.0.1"}}))
    with pytest.raises(UsageError, match=r'versions\.longvideoagent: "0\.0\.1" -> "'):
        run(eval_config(release, limit=5), tmp_path / "run")


def change_questions(release: Path) -> None:
    write_release(release, [record | {"q": "What does Otto drop ?"} for record in some_questions(12)])


def change_gold(release: Path) -> None:
    write_release(release, [record | {"answer": "a2"} for record in some_questions(12)])


def change_subtitles(release: Path) -> None:
    path = release / "LongTVQA_plus_subtitle_clip_level.json"
    path.write_text(path.read_text().replace("lantern", "saw"))


def change_durations(release: Path) -> None:
    (release / "clip_durations.json").write_text(json.dumps(dict.fromkeys(CLIPS, 59.0)))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (change_questions, "questions_sha256"),
        (change_gold, "gold_sha256"),
        (change_subtitles, "subtitles_sha256"),
        (change_durations, "subtitles_sha256"),
    ],
)
def test_resume_changed_data(change: Callable[[Path], None], field: str, release: Path, tmp_path: Path) -> None:
    run(eval_config(release), tmp_path / "run")
    change(release)
    with pytest.raises(UsageError, match=field):
        run(eval_config(release), tmp_path / "run")


@pytest.mark.parametrize(
    ("write_set", "root", "folder", "name"),
    [
        (nextqa, "", "NExTVideo/1164", "talk.srt"),
        (nextqa, "", "videos", "talk.en.vtt"),
        (mlvu, "MLVU", "video/1_plotQA", "talk.srt"),
    ],
)
def test_resume_changed_sidecar_subtitles(
    write_set: Callable[[Path], None], root: str, folder: str, name: str, tmp_path: Path, short_video: Path
) -> None:
    data = tmp_path / "data"
    sidecar = data / root / folder / name
    sidecar.parent.mkdir(parents=True)
    write_set(data / root)
    shutil.copy(short_video, sidecar.with_name("talk.mp4"))
    sidecar.write_text("WEBVTT\n\n00:00:01.000 --> 00:00:03.000\nOtto: A rope.\n")
    run(eval_config(data), tmp_path / "run")
    assert "Otto: A rope." in (tmp_path / "run" / "traces.jsonl").read_text()
    sidecar.write_text(sidecar.read_text().replace("rope", "saw"))
    with pytest.raises(UsageError, match="subtitles_sha256"):
        run(eval_config(data), tmp_path / "run")


def test_resume_changed_gold_boxes(release: Path, tmp_path: Path) -> None:
    plain, with_boxes = eval_config(release), eval_config(release, agents="grounding+vision", gold_boxes=True)
    run(plain, tmp_path / "plain")
    run(with_boxes, tmp_path / "boxes")
    *others, last = some_questions(12)
    write_release(release, [*(record | {"bbox": {}} for record in others), last])
    run(plain, tmp_path / "plain")
    with pytest.raises(UsageError, match="gold_sha256"):
        run(with_boxes, tmp_path / "boxes")


def test_resume_changed_first_clips(release: Path, tmp_path: Path) -> None:
    cache = tmp_path / "c.json"
    assert lva("data", "ground", release, "--split", "val", "--out", cache).returncode == 0
    run(eval_config(release, first_clip=f"file={cache}"), tmp_path / "run")
    text = cache.read_text()
    named = next(clip for clip in CLIPS[:2] if clip in text)
    cache.write_text(text.replace(named, CLIPS[1 - CLIPS.index(named)]))
    with pytest.raises(UsageError, match="first_clips_sha256"):
        run(eval_config(release, first_clip=f"file={cache}"), tmp_path / "run")


def test_resume_other_server(release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = eval_config(release, TeamConfig(master=AgentConfig(model="openai:m")))
    with serving(say("<answer>a1</answer>")) as (url, server):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        run(config, tmp_path / "run")
        monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
        with pytest.raises(UsageError, match=rf'servers\.master: "{url}" -> "http://127\.0\.0\.1:9/v1"'):
            run(config, tmp_path / "run")
    assert len(server.requests) == 12


def test_resume_larger_limit(release: Path, tmp_path: Path) -> None:
    assert run(eval_config(release, limit=5), tmp_path / "run")["num_finished"] == 5
    assert run(eval_config(release, limit=8), tmp_path / "run")["num_questions"] == 8
    assert run(eval_config(release), tmp_path / "run")["num_finished"] == 12
    assert sorted(ids(tmp_path / "run"), key=int) == [str(number) for number in range(12)]
    with pytest.raises(UsageError, match=r"limit: null -> 8; num_questions: 12 -> 8"):
        run(eval_config(release, limit=8), tmp_path / "run")


def test_resume_larger_limit_changed_questions(release: Path, tmp_path: Path) -> None:
    run(eval_config(release, limit=5), tmp_path / "run")
    change_questions(release)
    with pytest.raises(UsageError, match="questions_sha256"):
        run(eval_config(release, limit=8), tmp_path / "run")


def test_resume_stopped_while_extending(release: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    run(eval_config(release, limit=5), path)
    before = (path / "config.json").read_bytes()
    run(eval_config(release), path)
    (path / "config.json").write_bytes(before)
    (path / "traces.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines(path)[:4]))
    assert run(eval_config(release, limit=5), path)["num_finished"] == 5


def test_trace_is_synced_before_the_next_question(
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
    run(eval_config(release), tmp_path / "run", limits=RunLimits(concurrency=1))
    assert on_disk == list(range(1, 13))


def test_atomic_write_syncs_before_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[int, bool]] = []
    sync = os.fsync

    def fsync(file: int) -> None:
        sync(file)
        synced.append((os.fstat(file).st_ino, (tmp_path / "file.txt").exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    atomic_write_text(tmp_path / "file.txt", "text")
    assert synced == [((tmp_path / "file.txt").stat().st_ino, False), (tmp_path.stat().st_ino, True)]


def test_new_traces_file_is_synced(release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run"
    synced: list[tuple[int, list[str]]] = []
    sync = os.fsync

    def fsync(file: int) -> None:
        sync(file)
        synced.append((os.fstat(file).st_ino, sorted(each.name for each in path.iterdir())))

    data, samples = load_samples(eval_config(release))
    monkeypatch.setattr(os, "fsync", fsync)
    with open_run(path, partial(resolve, eval_config(release), data), samples):
        assert synced[-1] == (path.stat().st_ino, [".lock", "config.json", "questions.jsonl", "traces.jsonl"])


def test_run_locked_by_another_process(release: Path, tmp_path: Path) -> None:
    data, samples = load_samples(eval_config(release))
    resolve_config = partial(resolve, eval_config(release), data)
    with open_run(tmp_path / "run", resolve_config, samples), pytest.raises(UsageError, match="another process"):
        run(eval_config(release), tmp_path / "run")


def test_run_folder_with_other_files(release: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds other files"):
        run(eval_config(release), tmp_path / "run")


def test_run_folder_holds_no_key(release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with serving(say("<answer>a1</answer>")) as (url, _):
        run(eval_config(release, TeamConfig(master=AgentConfig(model=f"openai:m@{url}"))), tmp_path / "run")
    assert all(b"sk-secret" not in path.read_bytes() for path in (tmp_path / "run").iterdir())


def test_other_settings_long_values(release: Path, tmp_path: Path) -> None:
    prompt = "Watch closely.\n" * 200 + "$question\n$options"
    teams = [TeamConfig.model_validate({"layout": {"prompt": prompt, "last_round": text}}) for text in ("Now!", "End!")]
    run(eval_config(release, teams[0]), tmp_path / "run")
    with pytest.raises(UsageError, match=r'\(team\.layout\.last_round: "Now!" -> "End!"\)'):
        run(eval_config(release, teams[1]), tmp_path / "run")
    with pytest.raises(UsageError) as error:
        run(eval_config(release), tmp_path / "run")
    assert "team.layout.prompt differs; " in str(error.value)
    assert len(str(error.value)) < 600


def test_differences_of_long_values() -> None:
    path = "/a/folder/with/a/long/name/that/goes/on/and/on/and/on/until/here/set"
    assert differences({"data": path}, {"data": f"{path}-2"}) == [
        'data: "/a/folder/with/a/long/name/th…/and/on/and/on/until/here/set" -> '
        '"/a/folder/with/a/long/name/th…nd/on/and/on/until/here/set-2"'
    ]
    assert differences({"ids": "a" * 99}, {"ids": "a" * 98}) == ["ids differs"]
    assert differences({"limit": None}, {"limit": 3}) == ["limit: null -> 3"]
