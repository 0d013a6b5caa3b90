from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import jsonschema
import pytest

from longvideoagent.core.rollout import Rollout
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import (
    AgentFailure,
    Candidate,
    Clip,
    Evidence,
    GroundingResult,
    Question,
    Reply,
    Timeline,
    Usage,
    VisionResult,
)
from longvideoagent.index.open import open_video
from longvideoagent.media.readers.clip_folders import ClipFoldersReader
from longvideoagent.media.video import Video
from longvideoagent.views.html.page import PageContext, Verdict, media_url, render_page, write_page
from longvideoagent.views.summary import SUMMARY_FIELDS, summarize_trace
from longvideoagent.views.trace_dict import (
    TRACE_VERSION,
    trace_from_dict,
    trace_schema,
    trace_to_dict,
    trace_to_line,
)
from longvideoagent.views.trace_view import FRAMES_PER_LOOK, frame_times, shown_seconds, view_trace
from tests.fakes.release import CLIPS, write_frames
from tests.plugins.hostile import HOSTILE
from tests.plugins.old_formats import trace_in_version_0
from tests.plugins.timelines import make_timeline

ROOT = Path(__file__).resolve().parents[2]


def hostile_trace(folder: Path, video: Path) -> tuple[Path, Trace]:
    """A trace in which video name, subtitles, question, options and replies all try to be markup."""
    path = folder / 'a"<b>&.mp4'
    path.write_bytes(video.read_bytes())
    path.with_suffix(".srt").write_text(f"1\n00:00:01,000 --> 00:00:02,000\nMira: {HOSTILE}\n")
    rollout = Rollout(Question(HOSTILE, (HOSTILE, "b")), open_video(path).timeline)
    rollout.receive(GroundingResult("c01", HOSTILE))
    rollout.receive(Reply(f"<think>{HOSTILE}</think><visual_query>{HOSTILE}</visual_query>"))
    rollout.receive(VisionResult(HOSTILE, (Evidence("c01", 1.0, 2.0, "frame", 1.0, HOSTILE),)))
    rollout.receive(Reply(f"<answer>{HOSTILE}</answer>", confidence=0.5))
    return path, rollout.trace


def full_trace() -> Trace:
    """A trace with every kind of action and of observation."""
    timeline = make_timeline(["Mira: Hello."], ["Otto: A rope."], ["Mira: Bye."])
    rollout = Rollout(
        Question("Who?", ("Mira", "Otto"), "q"), timeline, RolloutSettings(9, window=2), ("no subtitles",)
    )
    line = Evidence("c01", 0.0, 1.0, "subtitle", 0.0, "Mira: Hello.")
    for result in (
        GroundingResult("c01", "a rope", (line,), Usage(1, 9, 2, 0, 0.5, 0.01), (Candidate("c03", "also a rope"),)),
        Reply("<visual_query>Is there a rope?</visual_query>", "it may be red"),
        VisionResult("A rope.", (Evidence("c01", 1.0, 1.0, "frame", 1.0, "a rope"),), is_found=False),
        Reply("<request_grounding>a rope</request_grounding>"),
        GroundingResult("nowhere", "not sure"),
        Reply("no action"),
        Reply("<request_grounding></request_grounding>"),
        GroundingResult("c02"),
        Reply("<answer>a1</answer>", confidence=0.25, evidence=(line,)),
    ):
        rollout.receive(result)
    return rollout.trace


def failed_trace() -> Trace:
    rollout = Rollout(Question("What?"), make_timeline(["Mira: Hello."]))
    rollout.receive(AgentFailure("grounding", "HTTP 503", Usage(2)))
    return rollout.trace


@pytest.mark.parametrize(
    ("confidence", "remark"),
    [(None, "answered"), (0.8, "answered"), (0.5, "not sure"), (0.0, "a guess: nothing in the video supports it")],
)
def test_remark_of_answer(confidence: float | None, remark: str) -> None:
    rollout = Rollout(Question("What?"), make_timeline(["Mira: Hello."]))
    rollout.receive(GroundingResult("c01"))
    rollout.receive(Reply("<answer>a rope</answer>", confidence=confidence))
    assert view_trace(rollout.trace).remark == remark
    assert view_trace(failed_trace()).remark == "failed"


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_page_escapes_markup(short_video: Path, tmp_path: Path) -> None:
    path, trace = hostile_trace(tmp_path, short_video)
    page = render_page(HOSTILE, open_video(path), [trace])
    tags = Tags(page).tags
    assert "script" not in {tag for tag, _ in tags}
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)
    assert page.count("&lt;script&gt;") >= 6


def test_page_is_self_contained(short_video: Path, tmp_path: Path) -> None:
    path, trace = hostile_trace(tmp_path, short_video)
    tags = Tags(render_page("t", open_video(path), [trace])).tags
    images = [attributes["src"] or "" for tag, attributes in tags if tag == "img"]
    assert images
    assert all(source.startswith("data:image/jpeg;base64,") for source in images)
    assert not any(tag in ("link", "iframe", "script", "object") for tag, _ in tags)
    assert all(attributes.get("alt") for tag, attributes in tags if tag == "img")


def test_page_player(short_video: Path, tmp_path: Path) -> None:
    """A page that is written next to a video, or below its folder, plays it, and says whether the answer is right."""
    path, trace = hostile_trace(tmp_path, short_video)
    context = PageContext(("What <b>this</b> is.",), [Verdict(is_correct=False, answer="a1 no", start_s=1.5, end_s=3)])
    (tmp_path / "pages").mkdir()
    for folder in (tmp_path, tmp_path / "pages"):
        write_page(folder / "page.html", "t", open_video(path), [trace], context)
        text = (folder / "page.html").read_text()
        tags = Tags(text).tags
        (source,) = [attributes["src"] or "" for tag, attributes in tags if tag == "video"]
        assert (folder / unquote(source)).resolve() == path.resolve()
        times_s = [float(attributes["data-time-s"] or "nan") for tag, attributes in tags if tag == "button"]
        assert 1.5 in times_s
        assert {each.time_s for each in trace.evidence} <= set(times_s)
        assert "What &lt;b&gt;this" in text
        assert "✗ Wrong" in text
        assert text.count("<script>") == 1


@pytest.mark.parametrize("name", ["a.mkv", "frames", "missing.mp4"])
def test_page_without_player(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.mkv").write_bytes(b"")
    (tmp_path / "frames").mkdir()
    assert media_url(tmp_path / name, tmp_path) is None


def test_shown_seconds_add_up() -> None:
    view = view_trace(full_trace())
    parts = [round(step.seconds, 2) for step in view.steps]
    assert shown_seconds(view, 2) == round(sum(parts), 2)


def test_page_failed_trace(short_video: Path) -> None:
    video = open_video(short_video)
    rollout = Rollout(Question("What?"), video.timeline)
    rollout.receive(AgentFailure("grounding", "HTTP 503"))
    record = trace_to_dict(rollout.trace)
    assert (record["outcome"], record["cause"], record["answer"], record["first_grounding"]) == (
        "failed",
        "grounding: HTTP 503",
        "",
        None,
    )
    assert "grounding: HTTP 503" in render_page("t", video, [rollout.trace])


def test_page_frames_missing(tmp_path: Path) -> None:
    write_frames(tmp_path)
    timeline = Timeline(tuple(Clip(label, 60.0 * n, 60.0 * n + 60.0) for n, label in enumerate(CLIPS)))
    rollout = Rollout(Question("What?"), timeline, RolloutSettings(window=2))
    rollout.receive(GroundingResult(CLIPS[0]))
    rollout.receive(Reply("<visual_query>What?</visual_query>"))
    evidence = [Evidence(CLIPS[n], 60.0 * n, 60.0 * n + 1.0, "frame", 60.0 * n, "grey") for n in (0, 1)]
    rollout.receive(VisionResult("Grey.", tuple(evidence)))
    rollout.receive(Reply("<answer>Grey</answer>"))
    shutil.rmtree(tmp_path / CLIPS[1])
    page = render_page("t", Video(ClipFoldersReader(tmp_path, timeline), timeline, "nowhere"), [rollout.trace])
    assert page.count("<img ") == page.count("the frame is not available") == 2  # in the look, and as evidence


@pytest.mark.parametrize(("num_clips", "text"), [(1, "1:00 · 1 clip ·"), (2, "2:00 · 2 clips ·")])
def test_page_counts_clips(num_clips: int, text: str, tmp_path: Path) -> None:
    timeline = make_timeline(*(["Mira: Hello."] for _ in range(num_clips)))
    assert text in render_page("t", Video(ClipFoldersReader(tmp_path, timeline), timeline, "nowhere"), [])


def test_page_candidates_are_not_the_window(tmp_path: Path) -> None:
    timeline = make_timeline(["Mira: Hello."], ["Otto: A rope."], ["Mira: Bye."])
    page = render_page("t", Video(ClipFoldersReader(tmp_path, timeline), timeline, "nowhere"), [full_trace()])
    also, window = (page.split(heading)[1].split("</p>")[0] for heading in ("Also considered: ", "Evidence window: "))
    assert (also.count("c0"), "c03" in also, "(also a rope)" in also) == (1, True, True)
    assert (window.count("c0"), "c01" in window, "c02" in window) == (2, True, True)


def test_view_steps_in_order() -> None:
    view = view_trace(full_trace())
    kinds = [getattr(step, "kind", "") or getattr(step, "action", "") for step in view.steps]
    expected = "grounding look vision relocate notice invalid notice relocate grounding answer"
    assert kinds == expected.split()
    assert [round_.number for round_ in view.rounds] == [1, 2, 3, 4, 5]
    assert view.frame_times_s == {1.0}


def test_view_frames_are_spread() -> None:
    evidence = [Evidence("c01", n, n, "frame", n, "") for n in map(float, range(10))]
    assert frame_times(VisionResult("", tuple(evidence))) == (0.0, 3.0, 6.0, 9.0)
    assert len(frame_times(VisionResult("", tuple(evidence[:3])))) == 3 < FRAMES_PER_LOOK


@pytest.mark.parametrize("trace", [full_trace(), failed_trace()], ids=["full", "failed"])
def test_trace_dict_round_trip(trace: Trace) -> None:
    record = trace_to_dict(trace)
    assert json.loads(json.dumps(record)) == record
    assert trace_from_dict(record) == trace
    assert trace_from_dict(json.loads(trace_to_line(trace))) == trace


def test_trace_dict_of_hostile_text(short_video: Path, tmp_path: Path) -> None:
    _, trace = hostile_trace(tmp_path, short_video)
    record = trace_to_dict(trace)
    assert trace_from_dict(json.loads(json.dumps(record))) == trace
    assert record["option_index"] == 0
    assert [each["action"] for each in record["rounds"]] == ["look", "answer"]


def test_trace_dict_names_window_and_candidates() -> None:
    record = trace_to_dict(full_trace())
    grounding = record["first_grounding"]
    assert grounding["clip"] == "c01"
    assert [clip["label"] for clip in grounding["window"]] == ["c01", "c02"]
    assert grounding["candidates"] == [{"label": "c03", "reason": "also a rope"}]


def test_trace_dict_derived_fields() -> None:
    trace = full_trace()
    record = trace_to_dict(trace)
    assert (record["answer"], record["option_index"], record["confidence"]) == ("Otto", 1, 0.25)
    assert [each["text"] for each in record["evidence"]] == ["Mira: Hello."]
    assert record["usage"]["calls"] == trace.usage.calls == 1
    assert trace_from_dict(record | {"answer": "another", "evidence": []}) == trace


def test_summary_is_part_of_the_trace_dict() -> None:
    record, summary = trace_to_dict(full_trace()), summarize_trace(full_trace())
    assert summary == {name: record[name] for name in SUMMARY_FIELDS}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": TRACE_VERSION + 1}, "version 2 is not known; update longvideoagent"),
        ({"version": "1"}, "version '1' is not known"),
        ({"rounds": 5}, "rounds"),
        ({"unknown": 5}, "unknown"),
        ({"outcome": "lost"}, "outcome"),
        ({"first_grounding": {"kind": "vision"}}, "first_grounding"),
    ],
)
def test_trace_dict_invalid(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trace_from_dict(trace_to_dict(full_trace()) | changes)


def test_trace_dict_clip_outside_window() -> None:
    record = trace_to_dict(full_trace())
    record["first_grounding"]["clip"] = "c09"
    with pytest.raises(ValueError, match=r"window: clip 'c09' is not in it"):
        trace_from_dict(record)


@pytest.mark.parametrize("trace", [full_trace(), failed_trace()], ids=["full", "failed"])
def test_trace_dict_migration_from_version_0(trace: Trace) -> None:
    assert trace_from_dict(json.loads(json.dumps(trace_in_version_0(trace)))) == trace


def test_trace_schema_is_current() -> None:
    published = json.loads((ROOT / "docs" / "trace.schema.json").read_text())
    assert published == trace_schema(), "run: make schema"


@pytest.mark.parametrize("trace", [full_trace(), failed_trace()], ids=["full", "failed"])
def test_trace_schema_accepts_traces(trace: Trace) -> None:
    validator = jsonschema.Draft202012Validator(trace_schema())
    validator.check_schema(trace_schema())
    validator.validate(trace_to_dict(trace))


def test_trace_schema_refuses_unknown_fields() -> None:
    validator = jsonschema.Draft202012Validator(trace_schema())
    assert not validator.is_valid(trace_to_dict(full_trace()) | {"unknown": 1})
