"""The page of a run: self-contained, and safe against hostile text."""

from __future__ import annotations

import json
import re
import shutil
import sys
from functools import partial
from pathlib import Path

import pytest

from longvideoagent.agents.config import AgentConfig, TeamConfig
from longvideoagent.core.rollout import Rollout
from longvideoagent.core.trace import RolloutSettings
from longvideoagent.core.types import GroundingResult, Question, Reply
from longvideoagent.datasets.gold import Gold, Sample
from longvideoagent.evaluation.config import load_samples, make_eval_config, resolve
from longvideoagent.evaluation.report import write_report
from longvideoagent.evaluation.store import open_run
from tests.fakes.annotations import videomme
from tests.fakes.faulty_server import say, serving
from tests.fakes.release import CLIPS, question, some_questions, write_frames, write_release
from tests.plugins.cli import lva
from tests.plugins.runs import Json, eval_config, run
from tests.plugins.timelines import make_timeline

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> \u2028 \ud800"


def test_report_is_self_contained_and_escaped(tmp_path: Path) -> None:
    records = [question(1, q=HOSTILE, a2=HOSTILE), question(2)]
    release = write_release(tmp_path / "data", records)
    with serving(*[say(f"<think>{HOSTILE[:-1]}</think><answer>a2</answer>")] * 4) as (url, _):
        run(eval_config(release, TeamConfig(master=AgentConfig(model=f"openai:m@{url}"))), tmp_path / "run")
    page = write_report(tmp_path / "run").read_text()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert not re.search(r"""(?:src|href)\s*=\s*["']?\s*(?:https?:)?//""", page)
    rows = json.loads(page.split('id="rows">')[1].split("</script>")[0])
    shown = HOSTILE.replace("\ud800", "?")  # lone surrogates in a data set are replaced
    assert [row["question"] for row in rows] == [shown, "What does Otto hold ?"]
    shown_traces = embedded_traces(page)
    assert shown_traces[0]["options"][2] == shown
    assert [each["answer"] for each in shown_traces] == [shown, "A saw"]


def test_report_says_that_an_answer_is_not_sure(tmp_path: Path) -> None:
    unknown = {f"a{index}": word for index, word in enumerate(("standing", "lying", "never", "sitting", "walking"))}
    records = [question(1, q="How do zebras sleep ?", **unknown), question(2)]
    run(eval_config(write_release(tmp_path / "data", records)), tmp_path / "run")
    unsure, sure = embedded_traces(write_report(tmp_path / "run").read_text())
    assert (unsure["remark"], sure["remark"]) == ("not sure", "answered")


def test_report_shows_frames(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some_questions(4))
    write_frames(release / "frames")
    run(eval_config(release, agents="grounding+vision"), tmp_path / "run")
    assert "data:image/jpeg;base64," in write_report(tmp_path / "run").read_text()


def embedded_traces(page: str) -> list[Json]:
    return [json.loads(block) for block in re.findall(r'id="t\d+">(.*?)</script>', page)]


def test_report_frames_missing(tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", some_questions(4))
    write_frames(release / "frames")
    run(eval_config(release, agents="grounding+vision"), tmp_path / "run")
    before = embedded_traces(write_report(tmp_path / "run").read_text())
    assert [each["missing_frames"] for each in before] == [0, 0, 0, 0]
    shutil.rmtree(release / "frames" / CLIPS[1])
    after = embedded_traces(write_report(tmp_path / "run").read_text())
    assert any(each["missing_frames"] for each in after)
    for pair in zip(after, before, strict=True):
        urls, all_urls = ([evidence["frame"] for evidence in trace["evidence"] if evidence["frame"]] for trace in pair)
        assert set(urls) <= set(all_urls)
    release.rename(tmp_path / "moved")
    assert any(each["missing_frames"] for each in embedded_traces(write_report(tmp_path / "run").read_text()))


def test_report_without_the_extra_of_the_data(
    tmp_path: Path, short_video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, path = tmp_path / "data", tmp_path / "run"
    (data / "videos").mkdir(parents=True)
    videomme(data)
    shutil.copy(short_video, data / "videos" / "talk.mp4")
    run(make_eval_config(data, "long", TeamConfig(), RolloutSettings(), {"agents": "grounding"}), path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for more, status in (([], 0), (["--data", str(data)], 2)):
        done = lva("report", path, *more)
        assert done.returncode == status, done.stderr
    assert "pyarrow is not installed; pip install 'longvideoagent[parquet]'" in done.stderr
    assert (path / "report.html").exists()


def test_report_clips_of_two_videos(release: Path, tmp_path: Path) -> None:
    samples = [Sample(Question("Who?", ("Mira", "Otto"), video), Gold(0), "who", video) for video in ("one", "two")]
    data, _ = load_samples(eval_config(release))
    with open_run(tmp_path / "run", partial(resolve, eval_config(release), data), samples) as folder:
        for sample in samples:
            rollout = Rollout(sample.question, make_timeline([f"Mira: This is video {sample.video}."]))
            rollout.receive(GroundingResult("c01"))
            rollout.receive(Reply("<answer>a0</answer>"))
            folder.add(rollout.trace)
    page = write_report(tmp_path / "run").read_text()
    clips = json.loads(page.split('id="clips">')[1].split("</script>")[0])
    assert {video: by_label["c01"][2][0][1] for video, by_label in clips.items()} == {
        "one": "Mira: This is video one.",
        "two": "Mira: This is video two.",
    }


def test_report_out_is_a_page(release: Path, tmp_path: Path) -> None:
    run(eval_config(release), tmp_path / "run")
    (tmp_path / "thesis.tex").write_text("mine")
    done = lva("report", tmp_path / "run", "--out", tmp_path / "thesis.tex")
    assert (done.returncode, (tmp_path / "thesis.tex").read_text()) == (2, "mine")
    assert "let --out end in .html" in done.stderr
    assert lva("report", tmp_path / "run", "--out", tmp_path / "pages" / "run.html").returncode == 0


def test_report_of_half_a_character(release: Path, tmp_path: Path) -> None:
    run(eval_config(release), tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    (tmp_path / "run" / "config.json").write_text(json.dumps(config | {"dataset": "half \ud800 a character"}))
    assert "half ? a character" in write_report(tmp_path / "run").read_text()
