"""Runs over data sets: nothing lost, nothing asked twice, nothing told that is not to be told."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web

from longvideoagent.agents.master import ModelMaster
from longvideoagent.agents.offline import offline_team
from longvideoagent.agents.roster import Role, Roster, load_roster
from longvideoagent.datasets.episodes import by_episode
from longvideoagent.datasets.gold import Gold, Sample
from longvideoagent.datasets.grounding_cache import GroundingCache
from longvideoagent.errors import ContextOverflowError, DataError, ModelError, UsageError
from longvideoagent.evaluation.ablate import grid, run_grid
from longvideoagent.evaluation.compare import compare
from longvideoagent.evaluation.config import EvalProtocol, make_protocol, read_asked, resolve
from longvideoagent.evaluation.evaluate import How, forecast_run, judge_run, run_evaluation
from longvideoagent.evaluation.page import write_report
from longvideoagent.evaluation.replay import find_trace, open_recorded, replay
from longvideoagent.evaluation.runner import Bounds
from longvideoagent.evaluation.store import cut_half_line, open_run, read_traces, trace_line
from longvideoagent.evaluation.switches import Switches, ToldBoxes
from longvideoagent.files import write_whole
from longvideoagent.models.scripted import ScriptedModel
from longvideoagent.rollout import AskVision, Rollout
from longvideoagent.terminal_eval import percent
from longvideoagent.trace import Outcome, Settings, Trace
from longvideoagent.types import Grounded, Message, Picture, Question, Reply, Seen
from tests.conftest import SHARED, make_timeline
from tests.faulty_server import say, serving, status
from tests.release import CLIPS, question, write_frames, write_release

LVA = Path(sys.executable).parent / "lva"
Json = dict[str, Any]


def some(count: int) -> list[Json]:
    """Questions over all clips, in an order that jumps between the episodes."""
    return [
        question(
            number,
            occur_clip=CLIPS[number % 4],
            episode_name=CLIPS[number % 4][:6],
            q=f"What does Otto hold in scene {number} ?",
        )
        for number in range(count)
    ]


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_release(tmp_path / "data", some(12))


def asked(folder: Path, team: Roster | None = None, **switches: Any) -> EvalProtocol:
    agents = {} if "baseline" in switches else {"agents": "grounding"}
    return make_protocol(folder, "val", team or Roster(), Settings(), agents | switches)


def run(protocol: EvalProtocol, path: Path, **how: Any) -> Json:
    return run_evaluation(protocol, path, How(**how), lambda *_: None).summary


def lines(path: Path) -> list[Json]:
    return [json.loads(line) for line in (path / "traces.jsonl").read_text().splitlines()]


def ids(path: Path) -> list[str]:
    return [line["question"]["id"] for line in lines(path)]


# --- a run and its resumption ---------------------------------------------------------------------


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


def test_questions_are_asked_episode_by_episode(release: Path, tmp_path: Path) -> None:
    run(asked(release), tmp_path / "run", bounds=Bounds(concurrency=1))
    _, samples = read_asked(asked(release))
    assert ids(tmp_path / "run") == [sample.question.id for sample in by_episode(samples)]
    videos = [sample.video for sample in by_episode(samples)]
    assert videos == sorted(videos)
    assert videos != [sample.video for sample in samples]


def test_half_a_line_is_cut_off_and_asked_again(release: Path, tmp_path: Path) -> None:
    run(asked(release), tmp_path / "run")
    path = tmp_path / "run" / "traces.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 300])
    assert run(asked(release), tmp_path / "run")["finished"] == 12
    assert len(set(ids(tmp_path / "run"))) == len(ids(tmp_path / "run")) == 12


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (b"", b""),
        (b"half", b""),
        (b"one\nhalf", b"one\n"),
        (b"one\n", b"one\n"),
        (b"one\n" + b"x" * 3_000_000, b"one\n"),
        (b"x" * 3_000_000, b""),
        (b"x" * 2_000_000 + b"\n" + b"y" * (1 << 20), b"x" * 2_000_000 + b"\n"),
    ],
    ids=lambda told: f"{len(told)} bytes",
)
def test_only_half_lines_are_cut(text: bytes, left: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(text)
    cut_half_line(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == left


def test_another_setting_is_refused_by_name(release: Path, tmp_path: Path) -> None:
    run(asked(release), tmp_path / "run")
    other = make_protocol(release, "val", Roster(), Settings(max_rounds=3), {"agents": "grounding"})
    with pytest.raises(UsageError, match=r"settings\.max_rounds: 5 -> 3"):
        run(other, tmp_path / "run")


def changed_questions(release: Path) -> None:
    write_release(release, [record | {"q": "What does Otto drop ?"} for record in some(12)])


def changed_gold(release: Path) -> None:
    write_release(release, [record | {"answer": "a2"} for record in some(12)])


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


def test_changed_boxes_are_refused_where_they_are_told(release: Path, tmp_path: Path) -> None:
    plain, told = asked(release), asked(release, agents="grounding+vision", boxes=True)
    run(plain, tmp_path / "plain")
    run(told, tmp_path / "told")
    write_release(release, [record | {"bbox": {}} for record in some(12)])
    run(plain, tmp_path / "plain")
    with pytest.raises(UsageError, match="gold_sha256"):
        run(told, tmp_path / "told")


def test_changed_first_clips_are_refused(release: Path, tmp_path: Path) -> None:
    cache = tmp_path / "c.json"
    subprocess.run([LVA, "data", "ground", release, "--split", "val", "--out", cache], check=True)
    run(asked(release, first_clip=f"cache={cache}"), tmp_path / "run")
    cache.write_text(cache.read_text().replace(CLIPS[1], CLIPS[0]))
    with pytest.raises(UsageError, match="first_clips_sha256"):
        run(asked(release, first_clip=f"cache={cache}"), tmp_path / "run")


def test_another_server_is_refused(release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    protocol = asked(release, Roster(master=Role(model="openai:m")))
    with serving(say("<answer>a1</answer>")) as (url, server):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        run(protocol, tmp_path / "run")
        monkeypatch.setenv("OPENAI_BASE_URL", "http://me:secret@127.0.0.1:9/v1")
        with pytest.raises(UsageError, match=rf'servers\.master: "{url}" -> "http://127\.0\.0\.1:9/v1"'):
            run(protocol, tmp_path / "run")
    assert len(server.got) == 12


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


def test_traces_without_their_settings_are_refused(release: Path, tmp_path: Path) -> None:
    run(asked(release), tmp_path / "run")
    (tmp_path / "run" / "config.json").unlink()
    with pytest.raises(UsageError, match=r"config\.json is gone"):
        run(asked(release), tmp_path / "run")


def other_gold(text: str) -> str:
    return text.replace('"option_index": 1', '"option_index": 2')


def without_the_second_line(text: str) -> str:
    return "".join(text.splitlines(keepends=True)[:1] + text.splitlines(keepends=True)[2:])


def broken_off(text: str) -> str:
    return text[: len(text) // 2]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (other_gold, "its gold answers were changed since"),
        (without_the_second_line, "its questions were changed since"),
        (broken_off, "its questions were changed since"),
    ],
)
def test_questions_that_were_changed_in_a_run_are_not_believed(
    spoil: Callable[[str], str], told: str, release: Path, tmp_path: Path
) -> None:
    run(asked(release), tmp_path / "run")
    run(asked(release), tmp_path / "other")
    path = tmp_path / "run" / "questions.jsonl"
    path.write_text(spoil(path.read_text()))
    for read in (
        lambda: compare(tmp_path / "other", tmp_path / "run"),
        lambda: compare(tmp_path / "run", tmp_path / "other"),
        lambda: write_report(tmp_path / "run"),
        lambda: run(asked(release), tmp_path / "run"),
        lambda: find_trace(tmp_path / "run", "1"),
    ):
        with pytest.raises(DataError, match=rf"questions\.jsonl: {told}"):
            read()


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
    run(asked(release), tmp_path / "run", bounds=Bounds(concurrency=1))
    assert on_disk == list(range(1, 13))


def test_a_file_is_on_the_disk_before_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[int, int]] = []
    sync = os.fsync

    def fsync(file: int) -> None:
        sync(file)
        synced.append((os.fstat(file).st_ino, os.fstat(file).st_size))
        assert not (tmp_path / "told.txt").exists()

    monkeypatch.setattr(os, "fsync", fsync)
    write_whole(tmp_path / "told.txt", "everything")
    assert ((tmp_path / "told.txt").stat().st_ino, 10) in synced


def test_a_second_process_is_refused(release: Path, tmp_path: Path) -> None:
    data, samples = read_asked(asked(release))
    configure = partial(resolve, asked(release), data.name)
    with open_run(tmp_path / "run", configure, samples), pytest.raises(UsageError, match="another process"):
        run(asked(release), tmp_path / "run")


def test_a_folder_of_other_things_is_refused(release: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds other files"):
        run(asked(release), tmp_path / "run")


@pytest.mark.parametrize(
    ("spoilt", "told"),
    [
        ("{broken", ":3: no JSON"),
        ('{"x": 1}', ":3: no trace"),
        ("another question's", ":3: question 'other-"),
    ],
)
def test_a_line_that_was_spoilt_is_named(spoilt: str, told: str, release: Path, tmp_path: Path) -> None:
    run(asked(release), tmp_path / "run")
    path = tmp_path / "run" / "traces.jsonl"
    written = path.read_text().splitlines(keepends=True)
    other = written[2].replace('"id":"', '"id":"other-')
    written[2] = other if spoilt.startswith("another") else f"{spoilt}\n"
    path.write_text("".join(written))
    with pytest.raises(DataError, match=told):
        run(asked(release), tmp_path / "run")
    with pytest.raises(DataError, match=told):
        write_report(tmp_path / "run")


def test_no_key_is_written(release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with serving(say("<answer>a1</answer>")) as (url, _):
        run(asked(release, Roster(master=Role(model=f"openai:m@{url}"))), tmp_path / "run")
    assert all(b"sk-secret" not in path.read_bytes() for path in (tmp_path / "run").iterdir())


# --- failures -------------------------------------------------------------------------------------


def test_an_outage_is_no_answer_and_can_be_asked_again(release: Path, tmp_path: Path) -> None:
    replies: list[Any] = [status(400, "broken")] * 5 + [say("<answer>a1</answer>")]
    with serving(*replies) as (url, _):
        protocol = asked(release, Roster(master=Role(model=f"openai:m@{url}")))
        first = run(protocol, tmp_path / "run", bounds=Bounds(concurrency=1))
        assert first["outcomes"] == {"answered": 7, "abstained": 0, "spent": 0, "failed": 5}
        assert sum(first["failures"].values()) == 5
        assert run(protocol, tmp_path / "run")["outcomes"]["failed"] == 5
        again = run(protocol, tmp_path / "run", retry_failed=True)
    assert again["outcomes"]["answered"] == again["finished"] == 12
    assert len(lines(tmp_path / "run")) == 17


def test_a_server_that_is_away_for_a_while_loses_nothing(release: Path, tmp_path: Path) -> None:
    replies: list[Any] = [status(503, "restarting")] * 10 + [say("<answer>a1</answer>")]
    with serving(*replies) as (url, _):
        protocol = asked(release, Roster(master=Role(model=f"openai:m@{url}")))
        assert run(protocol, tmp_path / "run", bounds=Bounds(concurrency=4))["outcomes"]["answered"] == 12


SERVER = """
import sys
from aiohttp import web
said = {"index": 0, "message": {"role": "assistant", "content": "<answer>a1</answer>"}, "finish_reason": "stop"}
async def answer(request):
    return web.json_response({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [said]})
app = web.Application()
app.router.add_post("/v1/chat/completions", answer)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""


@pytest.mark.slow
def test_a_server_that_is_dead_for_a_minute_loses_nothing(tmp_path: Path) -> None:
    release, path = write_release(tmp_path / "data", some(400)), tmp_path / "run"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", SERVER, str(port)]
    model = f"openai:m@http://127.0.0.1:{port}/v1"
    with subprocess.Popen(command) as server:
        run = start(release, path, "--master", model, "--no-cache", "--concurrency", "2")
        wait_for_lines(path, 5)
        server.kill()
    time.sleep(60)
    with subprocess.Popen(command) as server:
        assert run.wait(timeout=200) == 0, run.stderr and run.stderr.read()
        server.kill()
    assert run.stderr is not None
    run.stderr.close()
    assert {line["outcome"] for line in lines(path)} == {"answered"}
    assert len(ids(path)) == 400


def test_a_run_stops_when_its_agent_stays_down(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some(60))
    with serving(status(401, "no")) as (url, _):
        protocol = asked(release, Roster(master=Role(model=f"openai:m@{url}")))
        result = run_evaluation(protocol, tmp_path / "run", How(Bounds(concurrency=1)), lambda *_: None)
    assert "25 questions in a row failed" in result.stopped
    assert result.summary["finished"] == 25


def test_a_run_stops_at_its_dollars(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some(20))
    with serving(say("<answer>a1</answer>")) as (url, _):
        model = f"openai:m@{url}"
        roster = Roster.model_validate({"master": {"model": model}, "prices": {"m": {"prompt": 0, "completion": 1e6}}})
        bounds = Bounds(concurrency=1, max_usd=10.0)  # a reply has three tokens, a dollar each
        result = run_evaluation(asked(release, roster), tmp_path / "run", How(bounds), lambda *_: None)
    assert (result.summary["finished"], result.stopped) == (4, "12.00 dollars are spent")


def test_malformed_questions_are_told_and_the_others_asked(tmp_path: Path) -> None:
    records = some(30)
    records[7] = question(7, a3="")
    release = write_release(tmp_path / "data", records)
    told = subprocess.run(
        [LVA, "eval", release, "--run", tmp_path / "run", "--agents", "grounding"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0
    assert f"the data set has 1 problem; lva data check {release} tells what, and what is left out" in told.stderr
    assert len(ids(tmp_path / "run")) == 29


def test_a_video_that_cannot_be_read_fails_its_questions_alone(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some(8))
    (release / "videos").mkdir()
    (release / "videos" / "s01e02.mp4").write_text("no film")
    outcomes = run(asked(release), tmp_path / "run")["outcomes"]
    assert (outcomes["failed"], outcomes["answered"]) == (2, 6)
    causes = [line["cause"] for line in lines(tmp_path / "run") if line["outcome"] == "failed"]
    assert all("s01e02.mp4" in cause for cause in causes)


def start(release: Path, path: Path, *more: str, **how: Any) -> subprocess.Popen[str]:
    command = [str(LVA), "eval", str(release), "--run", str(path), "--agents", "grounding", *more]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **how)


def wait_for_lines(path: Path, count: int) -> None:
    end_s = time.monotonic() + 60
    while not (path / "traces.jsonl").exists() or (path / "traces.jsonl").read_bytes().count(b"\n") < count:
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_a_full_disk_ends_in_one_line_and_loses_nothing(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some(40))
    path = tmp_path / "run"
    full = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))  # noqa: E731
    with start(release, path, preexec_fn=full) as process:
        assert process.stderr is not None
        told = process.stderr.read()
    assert process.returncode == 2
    assert told.count("\n") == 1
    assert told.startswith("lva: error:")
    done = ids(path)  # every line is whole
    assert 0 < len(done) < 40
    with start(release, path) as process:
        assert process.wait() == 0
    assert len(ids(path)) == len(set(ids(path))) == 40


def slow_release(tmp_path: Path, count: int) -> Path:
    """Long enough to be interrupted: each question goes through many clips."""
    names = [f"s01e{number // 50 + 1:02}_seg01_clip_{number % 50:02}" for number in range(400)]
    records = [
        question(number, occur_clip=names[number % 400], episode_name=names[number % 400][:6], q=f"What of {number} ?")
        for number in range(count)
    ]
    release = write_release(tmp_path / "data", records)
    words = {name: f"Mira : number {number}. Otto : A rope. Mira : A saw." for number, name in enumerate(names)}
    (release / "LongTVQA_plus_subtitle_clip_level.json").write_text(json.dumps(words))
    (release / "clip_durations.json").write_text(json.dumps(dict.fromkeys(names, 60.0)))
    return release


def test_ctrl_c_ends_at_once_with_all_that_was_finished(tmp_path: Path) -> None:
    release, path = slow_release(tmp_path, 3000), tmp_path / "run"
    with start(release, path) as process:
        wait_for_lines(path, 5)
        process.send_signal(signal.SIGINT)
        sent_s = time.monotonic()
        assert process.wait(timeout=20) == 130
        assert time.monotonic() - sent_s < 2
        assert process.stderr is not None
        assert "the same command goes on" in process.stderr.read()
    done = ids(path)
    assert 5 <= len(done) < 3000
    assert len(set(done)) == len(done)


@pytest.mark.slow
def test_a_run_killed_again_and_again_holds_every_question_once(tmp_path: Path) -> None:
    release, path = slow_release(tmp_path, 400), tmp_path / "run"
    dice = random.Random(5)
    for _ in range(20):
        before = (path / "traces.jsonl").read_bytes().count(b"\n") if path.exists() else 0
        with start(release, path) as process:
            wait_for_lines(path, before + 1)
            time.sleep(dice.random() * 0.1)
            process.kill()
        if (path / "traces.jsonl").read_bytes().count(b"\n") > 350:
            break
    with start(release, path) as process:
        assert process.wait() == 0
    assert sorted(ids(path), key=int) == [str(number) for number in range(400)]
    assert json.loads((path / "summary.json").read_text())["finished"] == 400


# --- what agents are told --------------------------------------------------------------------------


async def play(request: web.Request) -> web.StreamResponse:
    """Plays all three roles, each in a way that depends on every word of what it is asked."""
    told = json.loads(await request.read())
    text = json.dumps(told["messages"])
    dice = random.Random(text)
    labels = re.findall(r"\[(s01e\w+)\]", text)
    turns = ["<visual_query>What is it?</visual_query>", "<request_grounding></request_grounding>"]
    replies = {
        "master": [*turns, f"<answer>a{dice.randrange(5)}</answer>"][min(2, text.count('"assistant"'))],
        "baseline": f"<answer>a{dice.randrange(5)}</answer>",
        "grounding": f"<clip>{dice.choice(labels or [''])}</clip>",
        "vision": f"0.5 s: {dice.random()}",
    }
    return cast(web.StreamResponse, await say(replies[told["model"]])(request))


def models_at(url: str, master: str) -> Roster:
    roles = {"master": master, "grounding": "grounding", "vision": "vision"}
    return Roster.model_validate({role: {"model": f"openai:{name}@{url}"} for role, name in roles.items()})


@pytest.mark.parametrize(
    ("master", "switches"),
    [
        ("", {"agents": "grounding"}),
        ("", {"agents": "grounding+vision"}),
        ("master", {"agents": "none"}),
        ("master", {"agents": "grounding+vision"}),
        ("master", {"agents": "grounding+vision", "first_clip": "random"}),
        ("baseline", {"baseline": "subtitles"}),
        ("baseline", {"baseline": "subtitles+frames"}),
    ],
    ids=str,
)
def test_scrambled_gold_gives_the_very_same_traces(master: str, switches: Json, release: Path, tmp_path: Path) -> None:
    write_frames(release / "frames")
    other = {"s01e01": CLIPS[0], "s01e02": CLIPS[3]}
    scrambled = [
        {**record, "answer": "a4", "ts": [30.0, 31.0], "occur_clip": other[record["episode_name"]], "bbox": {}}
        for record in some(12)
    ]
    with serving(play) as (url, server):
        protocol = asked(release, models_at(url, master) if master else None, **switches)
        run(protocol, tmp_path / "plain", bounds=Bounds(concurrency=1))
        write_release(release, scrambled)
        run(protocol, tmp_path / "scrambled", bounds=Bounds(concurrency=1))
    half = len(server.got) // 2
    assert server.got[:half] == server.got[half:]
    assert bool(half) == bool(master)
    told, again = (
        re.sub(r'"seconds":[\d.e-]+', "", (tmp_path / name / "traces.jsonl").read_text())
        for name in ("plain", "scrambled")
    )
    assert told == again
    assert '"outcome":"failed"' not in told
    right, by_scrambled_gold = (
        [each.is_correct for each in judge_run(tmp_path / name)] for name in ("plain", "scrambled")
    )
    assert right != by_scrambled_gold


def first_clips(path: Path) -> list[str]:
    return [line["first"]["clips"][0]["label"] for line in lines(path)]


def test_the_first_clip_comes_from_where_the_protocol_says(release: Path, tmp_path: Path) -> None:
    run(asked(release, first_clip="gold"), tmp_path / "gold", bounds=Bounds(concurrency=1))
    _, samples = read_asked(asked(release))
    assert first_clips(tmp_path / "gold") == [sample.gold.clip for sample in by_episode(samples)]
    assert asked(release, first_clip="gold").tells_gold == ("the first clip is the gold clip",)
    run(asked(release, first_clip="random"), tmp_path / "random", bounds=Bounds(concurrency=1))
    assert len(set(first_clips(tmp_path / "random"))) == 4
    assert (
        subprocess.run(
            [LVA, "data", "ground", release, "--split", "val", "--out", tmp_path / "c.json"], check=False
        ).returncode
        == 0
    )
    run(asked(release, first_clip=f"cache={tmp_path / 'c.json'}"), tmp_path / "cache", bounds=Bounds(concurrency=1))
    run(asked(release), tmp_path / "ground", bounds=Bounds(concurrency=1))
    assert first_clips(tmp_path / "cache") == first_clips(tmp_path / "ground")


def test_a_first_clip_that_is_no_more_is_a_failure_and_no_answer(release: Path, tmp_path: Path) -> None:
    _, samples = read_asked(asked(release))
    cache = GroundingCache(tmp_path / "c.json")
    for sample in samples:
        cache.put(sample.question, "s09e09_seg01_clip_00")
    cache.write()
    run(asked(release, first_clip=f"cache={tmp_path / 'c.json'}"), tmp_path / "run")
    told = lines(tmp_path / "run")
    assert {line["outcome"] for line in told} == {"failed"}
    assert "has no clip s09e09_seg01_clip_00; delete the file" in told[0]["cause"]


@pytest.mark.parametrize(
    ("switch", "told"),
    [
        ({"first_clip": "best"}, "give ground, random, gold or cache=FILE"),
        ({"first_clip": "cache=nowhere.json"}, "no such file"),
        ({"agents": "all"}, "--agents all"),
        ({"baseline": "frames"}, "--baseline frames"),
        ({"baseline": "subtitles+frames"}, "needs a master that sees"),
        ({"limit": 0}, "--limit 0: give 1 or more"),
        ({"limit": -1}, "--limit -1: give 1 or more"),
        ({"box": True}, "box: no such switch; there are agents, baseline, first_clip, boxes, limit"),
        ({"boxes": True}, "--boxes --agents grounding: nobody looks"),
        ({"agents": "none", "first_clip": "gold"}, "--first-clip gold --agents none: nobody asks for clips"),
        ({"baseline": "subtitles", "agents": "none"}, "--baseline subtitles --agents: a baseline is one reply"),
        ({"baseline": "subtitles", "first_clip": "gold"}, "leave out --first-clip"),
        ({"baseline": "subtitles", "boxes": True}, "leave out --boxes"),
    ],
)
def test_impossible_switches_are_refused(switch: Json, told: str, release: Path, tmp_path: Path) -> None:
    with pytest.raises((UsageError, DataError), match=re.escape(told)):
        run(asked(release, **switch), tmp_path / "run")


@pytest.mark.parametrize(
    ("bounds", "switch", "told"),
    [
        (Settings(max_rounds=3), {"baseline": "subtitles"}, "leave out --max-rounds"),
        (Settings(window=2), {"baseline": "subtitles"}, "leave out --window"),
        (Settings(look_ahead=2), {"baseline": "subtitles"}, "leave out --look-ahead"),
        (Settings(window=2), {"agents": "none"}, "--window 2 --agents none: the whole video is one clip"),
        (Settings(look_ahead=2), {"agents": "grounding"}, "--look-ahead --agents grounding: nobody looks"),
    ],
)
def test_bounds_that_mean_nothing_are_refused(bounds: Settings, switch: Json, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        make_protocol(Path("data"), "val", Roster(), bounds, switch)


class Eyes:
    """Vision that tells what it was asked."""

    async def look(self, request: AskVision, video: object) -> Seen:  # noqa: ARG002
        return Seen(request.query)


def test_gold_boxes_are_told_only_where_the_protocol_says_so(release: Path) -> None:
    protocol = asked(release, agents="grounding+vision", boxes=True)
    data, samples = read_asked(protocol)
    sample, episode = samples[1], data.episode(samples[1].video)
    team = Switches.of(protocol, data, samples).team_for(sample, episode, offline_team())
    assert isinstance(team.vision, ToldBoxes)
    clip = episode.timeline.find(sample.gold.clip or "")
    assert clip is not None
    eyes = ToldBoxes(team.vision.boxes, Eyes())
    seen = asyncio.run(eyes.look(AskVision("what?", (clip,)), episode.video))
    assert "Otto at 2, 1, 3, 4" in seen.text
    other = next(each for each in episode.timeline.clips if each.label != clip.label)
    assert (
        asyncio.run(ToldBoxes(team.vision.boxes, Eyes()).look(AskVision("what?", (other,)), episode.video)).text
        == "what?"
    )
    plain = Switches.of(asked(release), data, samples).team_for(sample, episode, offline_team())
    assert not isinstance(plain.vision, ToldBoxes)


def test_the_subtitle_baseline_is_one_prompt_with_the_whole_episode(release: Path, tmp_path: Path) -> None:
    with serving(say("<answer>a1</answer>")) as (url, _):
        protocol = asked(release, Roster(master=Role(model=f"openai:m@{url}")), baseline="subtitles")
        summary = run(protocol, tmp_path / "run")
    assert summary["per_question"]["rounds"]["mean"] == 1.0
    assert summary["roles"]["grounding"]["calls"] == 0
    assert {len(line["first"]["clips"][0]["subtitles"]) for line in lines(tmp_path / "run")} == {1, 5}


def shown_frames(release: Path, *replies: str | ModelError) -> tuple[Reply, list[list[Message]]]:
    """What a baseline with frames answers, and what its model was sent."""
    write_frames(release / "frames")
    protocol = asked(release, models_at("http://127.0.0.1:9/v1", "baseline"), baseline="subtitles+frames")
    data, samples = read_asked(protocol)
    model = ScriptedModel(replies)
    episode = data.episode("s01e01")
    team = replace(offline_team(), master=ModelMaster(model))
    team = Switches.of(protocol, data, samples).team_for(samples[0], episode, team)
    trace = Rollout(samples[0].question, episode.timeline, protocol.settings).trace
    return asyncio.run(team.master.reply(trace)), model.heard


def test_the_frame_baseline_shows_middle_frames_with_the_subtitles(release: Path) -> None:
    reply, heard = shown_frames(release, "<answer>a1</answer>")
    content = heard[0][0]["content"]
    assert isinstance(content, tuple)
    assert [type(part) for part in content] == [Picture, Picture, Picture, str]
    assert reply.usage.images == 3


def test_the_frame_baseline_is_shortened_where_it_does_not_fit(release: Path) -> None:
    reply, heard = shown_frames(release, ContextOverflowError("too long"), "<answer>a1</answer>")
    whole, short = (messages[0]["content"] for messages in heard)
    assert whole[:3] == short[:3]
    assert len(str(short[3])) < len(str(whole[3]))
    assert reply.warnings == ("only 50% of each clip's subtitles fitted the master model's context",)


def test_the_frame_baseline_is_refused_without_frames(release: Path, tmp_path: Path) -> None:
    protocol = asked(release, models_at("http://127.0.0.1:9/v1", "baseline"), baseline="subtitles+frames")
    with pytest.raises(UsageError, match="has no frames of what is asked about; put them in its folder frames"):
        run(protocol, tmp_path / "run")


def test_an_episode_without_frames_is_not_asked_as_if_it_were_text(release: Path, tmp_path: Path) -> None:
    write_frames(release / "frames")
    shutil.rmtree(release / "frames" / CLIPS[3])
    with serving(play) as (url, _):
        run(asked(release, models_at(url, "baseline"), baseline="subtitles+frames"), tmp_path / "run")
    failed = [line for line in lines(tmp_path / "run") if line["outcome"] == "failed"]
    assert sorted(line["question"]["id"] for line in failed) == ["11", "3", "7"]
    assert "has no frame to show" in failed[0]["cause"]


def test_a_run_without_frames_says_that_vision_sees_nothing(release: Path, tmp_path: Path) -> None:
    told: list[str] = []
    run(asked(release, agents="grounding+vision", limit=1), tmp_path / "bare", warn=told.append)
    assert [line.partition(": ")[2] for line in told] == [
        "has no frames of what is asked about, so vision sees nothing; put them in its folder frames, "
        "or give --agents grounding"
    ]
    run(asked(release, limit=1), tmp_path / "grounding", warn=told.append)
    write_frames(release / "frames")
    run(asked(release, agents="grounding+vision", limit=1), tmp_path / "seen", warn=told.append)
    assert len(told) == 1


def test_nothing_is_retried_where_there_is_no_run(release: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--retry failed: .* holds no run"):
        run(asked(release), tmp_path / "run", retry_failed=True)
    assert not (tmp_path / "run").exists()


def test_a_whole_run_is_forecast(release: Path) -> None:
    one = forecast_run(asked(release, load_roster("qwen3-4b"), limit=1))
    all_ = forecast_run(asked(release, load_roster("qwen3-4b")))
    assert all_[-1].most.calls == 12 * one[-1].most.calls
    assert all_[-1].most.prompt_tokens > 11 * one[-1].most.prompt_tokens / 2


# --- compare, replay, report ------------------------------------------------------------------------


def test_two_runs_are_compared_question_by_question(release: Path, tmp_path: Path) -> None:
    with serving(*[say("<answer>a1</answer>")] * 12, *[say("<answer>a2</answer>")] * 12) as (url, _):
        roster = Roster(master=Role(model=f"openai:m@{url}"))
        run(asked(release, roster), tmp_path / "right")
        run(asked(release, roster, limit=8), tmp_path / "wrong")
    told = compare(tmp_path / "right", tmp_path / "wrong")
    assert (told.common, told.gain, told.interval) == (8, -1.0, None)
    assert told.p == pytest.approx(2 / 2**2)  # two episodes
    assert told.p_mcnemar == pytest.approx(2 / 2**8)
    assert [flip.gained for flip in told.flips] == [False] * 8
    assert any(line.startswith("limit: null -> 8") for line in told.settings)


def test_numbers_of_one_episode_or_all_alike_are_shown_without_certainty(release: Path, tmp_path: Path) -> None:
    with serving(*[say("<answer>a1</answer>")] * 24) as (url, _):
        roster = Roster(master=Role(model=f"openai:m@{url}"))
        both = run(asked(release, roster), tmp_path / "both")
        one = run(asked(release, roster, limit=1), tmp_path / "one")
    assert percent(both["accuracy"]) == "100.0 % (22.4 to 100.0)"  # two episodes bear out no more
    assert percent(one["accuracy"]) == "100.0 ± – %"
    assert '100.0 <span class="soft">(22.4 to 100.0)</span>' in write_report(tmp_path / "both").read_text()
    assert '100.0 <span class="soft">± –</span>' in write_report(tmp_path / "one").read_text()
    told = subprocess.run([LVA, "compare", "one", "both"], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "+0.0 points, 95 % –, p = 1 by episode" in told.stdout


def test_an_ablation_tells_how_many_questions_failed(release: Path, tmp_path: Path) -> None:
    with serving(*[status(400, "broken")] * 12) as (url, _):
        protocol = asked(release, Roster(master=Role(model=f"openai:m@{url}")))
        grid_of_one = grid(protocol, "agents", ["grounding"])
        rows, _ = run_grid(grid_of_one, "agents", tmp_path / "grid", How(), lambda *_: None)
    assert rows["grounding"]["outcomes"]["failed"] == 12
    assert "<td>12</td><td>12</td></tr>" in (tmp_path / "grid" / "ablation.html").read_text()


def test_an_ablation_that_stops_keeps_the_values_it_has_finished(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some(26))
    with serving(*[say("<answer>a1</answer>")] * 26, *[status(400, "broken")] * 30) as (url, _):
        protocol = asked(release, Roster(master=Role(model=f"openai:m@{url}")))
        two = grid(protocol, "agents", ["none", "grounding"])
        rows, stopped = run_grid(two, "agents", tmp_path / "grid", How(), lambda *_: None)
    assert list(rows) == ["none"]
    assert stopped.startswith("agents grounding stopped early: 2")
    assert "questions in a row failed" in stopped
    assert list(json.loads((tmp_path / "grid" / "ablation.json").read_text())["rows"]) == ["none"]


def test_runs_of_other_data_are_not_compared(release: Path, tmp_path: Path) -> None:
    run(asked(release), tmp_path / "one")
    other = write_release(tmp_path / "other", [question(99)])
    run(asked(other), tmp_path / "two")
    with pytest.raises(DataError, match="share no finished question"):
        compare(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize(
    ("changed", "told"),
    [({"answer": "a2"}, "disagree about the right answer of question 7"), ({"q": "Who?"}, "ask question 7 in other")],
)
def test_runs_that_differ_in_what_a_question_is_are_not_compared(
    changed: Json, told: str, release: Path, tmp_path: Path
) -> None:
    run(asked(release), tmp_path / "one")
    records = some(12)
    records[7] |= changed
    run(asked(write_release(tmp_path / "other", records)), tmp_path / "two")
    with pytest.raises(DataError, match=told):
        compare(tmp_path / "one", tmp_path / "two")


def test_gold_and_versions_are_told_of_both_runs(release: Path, tmp_path: Path) -> None:
    run(asked(release), tmp_path / "plain")
    run(asked(release, agents="grounding+vision", first_clip="gold", boxes=True), tmp_path / "gold")
    config = json.loads((tmp_path / "gold" / "config.json").read_text())
    config["versions"]["longvideoagent"] = "0.0.1"
    (tmp_path / "gold" / "config.json").write_text(json.dumps(config))
    told = compare(tmp_path / "gold", tmp_path / "plain")
    assert told.tells_gold == (
        f"{tmp_path / 'gold'}: the first clip is the gold clip",
        f"{tmp_path / 'gold'}: gold boxes are told with each look",
    )
    assert {"boxes: true -> false", 'first_clip: "gold" -> "ground"'} <= set(told.settings)
    assert any(line.startswith('version of longvideoagent: "0.0.1" -> ') for line in told.settings)
    assert len(compare(tmp_path / "gold", tmp_path / "gold").tells_gold) == 4
    shown = subprocess.run([LVA, "compare", "gold", "plain"], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert shown.stdout.count("GOLD IS TOLD IN gold") == 2


@pytest.mark.parametrize("name", [str(number) for number in range(4)])
def test_a_replay_ends_in_the_recorded_trace(name: str, release: Path, tmp_path: Path) -> None:
    run(asked(release), tmp_path / "run")
    recorded = find_trace(tmp_path / "run", name)
    steps: list[Trace] = []
    assert replay(recorded, open_recorded(tmp_path / "run", name).timeline, steps.append)
    assert steps[-1] == recorded


def test_what_grounding_got_wrong_is_replayed_too() -> None:
    timeline = make_timeline(["Mira: Hello."], ["Otto: A rope."])
    rollout = Rollout(Question("Who?", ("Mira", "Otto"), "q"), timeline, Settings(6))
    again = Reply("<request_grounding></request_grounding>")
    for result in (Grounded("nowhere"), again, Grounded("c01"), again, Grounded("c01"), again, Grounded(None, "tired")):
        rollout.receive(result)
    for reply in (Reply("no action"), Reply("<visual_query>x</visual_query>"), Seen("y"), Reply("<answer>a0</answer>")):
        rollout.receive(reply)
    assert replay(rollout.trace, timeline, lambda _: None)


def test_a_question_that_failed_for_its_data_is_not_replayed(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some(8))
    (release / "videos").mkdir()
    (release / "videos" / "s01e02.mp4").write_text("no film")
    run(asked(release), tmp_path / "run")
    shutil.rmtree(release / "videos")
    with pytest.raises(DataError, match=r"question '3' failed for its data \(.*s01e02\.mp4.*\); mend them and --retry"):
        find_trace(tmp_path / "run", "3")
    assert run(asked(release), tmp_path / "run", retry_failed=True)["outcomes"]["failed"] == 0
    assert find_trace(tmp_path / "run", "3").outcome is Outcome.ANSWERED


def test_traces_survive_the_file(release: Path, tmp_path: Path) -> None:
    run(asked(release), tmp_path / "run")
    for trace, line in zip(
        read_traces(tmp_path / "run"), (tmp_path / "run" / "traces.jsonl").read_text().splitlines(), strict=True
    ):
        assert trace_line(trace) == line
        assert trace.outcome is Outcome.ANSWERED


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> \u2028 \ud800"


def test_a_report_needs_nothing_from_outside_and_runs_nothing_that_was_said(tmp_path: Path) -> None:
    records = [question(1, q=HOSTILE, a2=HOSTILE), question(2)]
    release = write_release(tmp_path / "data", records)
    with serving(*[say(f"<think>{HOSTILE[:-1]}</think><answer>a2</answer>")] * 4) as (url, _):
        run(asked(release, Roster(master=Role(model=f"openai:m@{url}"))), tmp_path / "run")
    page = write_report(tmp_path / "run").read_text()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert not re.search(r"""(?:src|href)\s*=\s*["']?\s*(?:https?:)?//""", page)
    rows = json.loads(page.split('id="rows">')[1].split("</script>")[0])
    assert [row["q"] for row in rows] == [HOSTILE, "What does Otto hold ?"]
    blocks = shown_blocks(page)
    assert blocks[0]["options"][2] == HOSTILE
    assert [block["answer"] for block in blocks] == [HOSTILE, "A saw"]


def test_a_report_shows_frames_of_what_was_looked_at(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some(4))
    write_frames(release / "frames")
    run(asked(release, agents="grounding+vision"), tmp_path / "run")
    assert "data:image/jpeg;base64," in write_report(tmp_path / "run").read_text()


def shown_blocks(page: str) -> list[Json]:
    return [json.loads(block) for block in re.findall(r'id="t\d+">(.*?)</script>', page)]


def test_a_report_is_made_where_frames_are_gone_and_says_so(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some(4))
    write_frames(release / "frames")
    run(asked(release, agents="grounding+vision"), tmp_path / "run")
    before = shown_blocks(write_report(tmp_path / "run").read_text())
    assert [block["missing"] for block in before] == [0, 0, 0, 0]
    shutil.rmtree(release / "frames" / CLIPS[1])
    blocks = shown_blocks(write_report(tmp_path / "run").read_text())
    assert any(block["missing"] for block in blocks)
    for block, whole in zip(blocks, before, strict=True):
        urls, all_urls = ([each[4] for each in told["evidence"] if each[4]] for told in (block, whole))
        assert set(urls) <= set(all_urls)
    release.rename(tmp_path / "moved")
    assert any(block["missing"] for block in shown_blocks(write_report(tmp_path / "run").read_text()))


def test_a_report_keeps_clips_of_one_name_apart(release: Path, tmp_path: Path) -> None:
    samples = [Sample(Question("Who?", ("Mira", "Otto"), video), Gold(0), "who", video) for video in ("one", "two")]
    with open_run(tmp_path / "run", partial(resolve, asked(release), "films"), samples) as folder:
        for sample in samples:
            rollout = Rollout(sample.question, make_timeline([f"Mira: This is film {sample.video}."]))
            rollout.receive(Grounded("c01"))
            rollout.receive(Reply("<answer>a0</answer>"))
            folder.add(rollout.trace)
    page = write_report(tmp_path / "run").read_text()
    clips = json.loads(page.split('id="clips">')[1].split("</script>")[0])
    assert {video: told["c01"][2][0][1] for video, told in clips.items()} == {
        "one": "Mira: This is film one.",
        "two": "Mira: This is film two.",
    }


def test_a_report_overwrites_nothing_but_pages(release: Path, tmp_path: Path) -> None:
    run(asked(release), tmp_path / "run")
    (tmp_path / "thesis.tex").write_text("mine")
    told = lva("report", tmp_path / "run", "--out", tmp_path / "thesis.tex")
    assert (told.returncode, (tmp_path / "thesis.tex").read_text()) == (2, "mine")
    assert "let --out end in .html" in told.stderr
    assert lva("report", tmp_path / "run", "--out", tmp_path / "pages" / "run.html").returncode == 0


# --- the commands ----------------------------------------------------------------------------------


def lva(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([LVA, *arguments], capture_output=True, text=True, check=False)


def test_the_commands_go_from_data_to_report(release: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    told = lva("eval", release, "--run", path, "--agents", "grounding")
    assert "% right of 12 questions" in told.stdout
    assert "first clip ground · boxes not told" in told.stdout
    assert lva("compare", path, path).stdout.count("0 lost") == 1
    assert lva("report", path).returncode == 0
    assert "a1" in lva("replay", path, "3").stdout
    told = lva("ablate", "agents", release, "--run", tmp_path / "grid", "--value", "none", "--value", "grounding")
    assert told.returncode == 0
    assert json.loads((tmp_path / "grid" / "ablation.json").read_text())["rows"].keys() == {"none", "grounding"}
    assert "<svg" in (tmp_path / "grid" / "ablation.html").read_text()


def test_an_ablation_asks_as_an_evaluation_does(release: Path, tmp_path: Path) -> None:
    with serving(status(400, "broken")) as (url, _):
        switches = ["--limit", "2", "--first-clip", "random", "--agents", "grounding", "--master", f"openai:m@{url}"]
        told = lva("ablate", "rounds", release, "--run", tmp_path / "grid", "--value", "2", *switches)
    assert told.returncode == 1  # questions have failed
    config = json.loads((tmp_path / "grid" / "rounds-2" / "config.json").read_text())
    assert (config["first_clip"], config["settings"]["agents"]) == ("random", "grounding")


@pytest.mark.parametrize(
    ("line", "mend"),
    [
        ("eval nowhere", "no folder"),
        ("eval DATA --split test", "there are val"),
        ("eval DATA --max-usd 0", "give more than 0"),
        ("eval DATA --run DATA/LongTVQA_plus_val.json", "is a file"),
        ("eval DATA --max-usd nan", "give more than 0"),
        ("eval DATA --retry all", "give --retry failed"),
        ("eval DATA --retry failed", "holds no run"),
        ("eval DATA --baseline subtitles --agents grounding", "leave out --agents"),
        ("eval DATA --max-usd 1 --master openai:gpt@http://127.0.0.1:9/v1", "no price is known for gpt"),
        ("ablate colour DATA", "give rounds, window, agents, vision"),
        ("ablate vision DATA", "--value openai:NAME"),
        ("ablate rounds DATA --value few", "no such value"),
        ("ablate agents DATA --agents none", "leave out --agents"),
        ("ablate vision DATA --agents grounding --value offline", "leave out --agents"),
        ("ablate window DATA --agents none", "leave out --agents"),
        ("compare DATA DATA", "holds no run"),
        ("report DATA", "holds no run"),
        ("replay DATA 1", "holds no run"),
    ],
)
def test_impossible_commands_are_refused_in_one_line(line: str, mend: str, release: Path, tmp_path: Path) -> None:
    words = [word.replace("DATA", str(release)) for word in line.split()]
    told = subprocess.run([LVA, *words], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert told.returncode == 2
    assert mend in told.stderr
    assert told.stderr.count("\n") == 1


@pytest.mark.shared
def test_a_real_set_is_answered_better_than_by_its_longest_options(tmp_path: Path) -> None:
    data = SHARED / "data" / "longtvqa_plus"
    summary = run(asked(data), tmp_path / "run")
    assert summary["finished"] == 1575
    assert summary["accuracy"]["mean"] > 0.49
