from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

from longvideoagent.core.rollout import Rollout
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import (
    AgentFailure,
    Clip,
    Evidence,
    GroundingResult,
    Question,
    Reply,
    Timeline,
    VisionResult,
)
from longvideoagent.media.readers.clip_folders import ClipFoldersReader
from longvideoagent.media.video import Video, open_video
from longvideoagent.views.html.page import render_page
from longvideoagent.views.trace_json import to_json
from tests.fakes.release import CLIPS, write_frames
from tests.plugins.hostile import HOSTILE


def hostile_trace(folder: Path, video: Path) -> tuple[Path, Trace]:
    """A trace in which video name, subtitles, question, options and replies all try to be markup."""
    film = folder / 'a"<b>&.mp4'
    film.write_bytes(video.read_bytes())
    film.with_suffix(".srt").write_text(f"1\n00:00:01,000 --> 00:00:02,000\nMira: {HOSTILE}\n")
    rollout = Rollout(Question(HOSTILE, (HOSTILE, "b")), open_video(film).timeline)
    rollout.receive(GroundingResult("c01", HOSTILE))
    rollout.receive(Reply(f"<think>{HOSTILE}</think><visual_query>{HOSTILE}</visual_query>"))
    rollout.receive(VisionResult(HOSTILE, (Evidence("c01", 1.0, 2.0, "frame", 1.0, HOSTILE),)))
    rollout.receive(Reply(f"<answer>{HOSTILE}</answer>", confidence=0.5))
    return film, rollout.trace


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_nothing_from_outside_becomes_markup(short_video: Path, tmp_path: Path) -> None:
    film, trace = hostile_trace(tmp_path, short_video)
    page = render_page(HOSTILE, open_video(film), [trace])
    tags = Tags(page).tags
    assert "script" not in {tag for tag, _ in tags}
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)
    assert page.count("&lt;script&gt;") >= 6


def test_the_page_asks_for_nothing_outside(short_video: Path, tmp_path: Path) -> None:
    film, trace = hostile_trace(tmp_path, short_video)
    tags = Tags(render_page("t", open_video(film), [trace])).tags
    pictures = [attributes["src"] or "" for tag, attributes in tags if tag == "img"]
    assert pictures
    assert all(source.startswith("data:image/jpeg;base64,") for source in pictures)
    assert not any(tag in ("link", "iframe", "script", "object") for tag, _ in tags)
    assert all(attributes.get("alt") for tag, attributes in tags if tag == "img")


def test_a_failed_trace_is_told_as_failed(short_video: Path) -> None:
    episode = open_video(short_video)
    rollout = Rollout(Question("What?"), episode.timeline)
    rollout.receive(AgentFailure("grounding", "HTTP 503"))
    told = to_json(rollout.trace)
    assert (told["outcome"], told["cause"], told["answer"], told["grounding"]) == (
        "failed",
        "grounding: HTTP 503",
        "",
        None,
    )
    assert "grounding: HTTP 503" in render_page("t", episode, [rollout.trace])


def test_a_page_is_made_where_frames_are_gone_and_says_so(tmp_path: Path) -> None:
    write_frames(tmp_path)
    timeline = Timeline(tuple(Clip(label, 60.0 * n, 60.0 * n + 60.0) for n, label in enumerate(CLIPS)))
    rollout = Rollout(Question("What?"), timeline, RolloutSettings(window=2))
    rollout.receive(GroundingResult(CLIPS[0]))
    rollout.receive(Reply("<visual_query>What?</visual_query>"))
    seen = [Evidence(CLIPS[n], 60.0 * n, 60.0 * n + 1.0, "frame", 60.0 * n, "grey") for n in (0, 1)]
    rollout.receive(VisionResult("Grey.", tuple(seen)))
    rollout.receive(Reply("<answer>Grey</answer>"))
    shutil.rmtree(tmp_path / CLIPS[1])
    page = render_page("t", Video(ClipFoldersReader(tmp_path, timeline), timeline, "nowhere"), [rollout.trace])
    assert page.count("<img ") == page.count("the frame is gone") == 2  # in the look, and as evidence


def test_json_survives_a_round_trip(short_video: Path, tmp_path: Path) -> None:
    _, trace = hostile_trace(tmp_path, short_video)
    told = to_json(trace)
    assert json.loads(json.dumps(told)) == told
    assert told["option"] == "a0"
    assert [each["action"] for each in told["rounds"]] == ["look", "answer"]
