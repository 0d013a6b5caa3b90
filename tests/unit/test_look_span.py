"""Looks at a span that the query names, and grounding that names a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.agents.offline.vision import MAX_FRAMES, sample_times_s
from longvideoagent.core.actions import AgentName, Look, offered_actions, offered_tools
from longvideoagent.core.look_span import cut_clips, split_span
from longvideoagent.core.rollout import MasterRequest, Rollout, VisionRequest
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.trace import RolloutSettings
from longvideoagent.core.types import GroundingResult, Question, Reply, SystemNotice, TimeSpan, VisionResult
from tests.plugins.timelines import make_timeline

TIMELINE = make_timeline(["one", "two"], ["three"], ["four"])
TOOLS = RolloutSettings(timeline_tools=True)
AGENTS: frozenset[AgentName] = frozenset({"grounding", "vision"})


def rollout(label: str | None = "c01", settings: RolloutSettings = TOOLS) -> Rollout:
    started = Rollout(Question("What does the sign say?"), TIMELINE, settings)
    started.receive(GroundingResult(label))
    return started


def looked(query: str, label: str | None = "c01", settings: RolloutSettings = TOOLS) -> Rollout:
    asked = rollout(label, settings)
    asked.receive(Reply(f"<visual_query>{query}</visual_query>"))
    return asked


@pytest.mark.parametrize(
    ("query", "span", "text"),
    [
        ("0:40-0:50: the sign", (40, 50), "the sign"),
        ("0:40 – 0:50 the sign", (40, 50), "the sign"),
        ("From 0:40 to 0:50, the sign", (40, 50), "the sign"),
        ("between 0:40 and 0:50 the sign", (40, 50), "the sign"),
        ("0:50-0:40: the sign", (40, 50), "the sign"),
        ("40.5-42 s the sign", (40.5, 42), "the sign"),
        ("40 s to 42 s: the sign", (40, 42), "the sign"),
        ("1:00:05-1:00:07: the sign", (3605, 3607), "the sign"),
        ("0:59.5-0:59.9: the flash", (59.5, 59.9), "the flash"),
        ("at 0:45 the sign", (44, 46), "the sign"),
        ("0:45: the sign", (44, 46), "the sign"),
        ("at 0:00: the sign", (0, 1), "the sign"),
    ],
)
def test_span_at_the_start_of_a_query(query: str, span: tuple[float, float], text: str) -> None:
    assert split_span(query) == (TimeSpan(*span), text)


@pytest.mark.parametrize(
    "query",
    ["the sign at 0:40", "10:30 train on the sign", "2:1 ratio", "3 people at the door", "40-50: a number", "12 s", ""],
)
def test_other_queries_have_no_span(query: str) -> None:
    assert split_span(query) == (None, query)


def test_span_alone_stays_the_query() -> None:
    assert split_span("0:40-0:50") == (TimeSpan(40, 50), "0:40-0:50")


@given(st.text("0123456789:.- –toats,", max_size=60))
def test_any_query_is_split_into_a_span_that_can_be_looked_at(query: str) -> None:
    span, text = split_span(query)
    assert span is None or 0 <= span.start_s < span.end_s
    assert text in query


@given(st.integers(0, 9_000), st.integers(1, 9_000))
def test_spans_as_players_show_them(start_s: int, length_s: int) -> None:
    start, end = format_timestamp(start_s), format_timestamp(start_s + length_s)
    assert split_span(f"{start}-{end}: a boat") == (TimeSpan(start_s, start_s + length_s), "a boat")


def test_look_at_a_span_sees_only_the_span() -> None:
    request = looked("0:50-1:10: the sign").request
    assert isinstance(request, VisionRequest)
    assert request.action == Look("the sign")
    assert [(clip.label, clip.start_s, clip.end_s) for clip in request.window] == [("c01", 50, 60), ("c02", 60, 70)]
    assert [len(clip.subtitles) for clip in request.window] == [0, 0]


def test_look_at_a_span_leaves_the_current_clip() -> None:
    asked = looked("2:10-2:20: the sign", label="c02")
    asked.receive(VisionResult("a sign"))
    assert asked.trace.rounds[0].clip == "c02"
    assert asked.trace.current_observation is not None
    assert asked.trace.current_observation.clip.label == "c02"
    assert asked.trace.rounds[0].action == Look("2:10-2:20: the sign")


def test_look_at_a_span_needs_no_clip() -> None:
    request = looked("at 2:10 the sign", label=None).request
    assert isinstance(request, VisionRequest)
    assert request.window[0].label == "c03"


def test_look_past_the_end_costs_the_round() -> None:
    asked = looked("59:00-59:10: the sign")
    assert isinstance(asked.request, MasterRequest)
    observation = asked.trace.rounds[0].observation
    assert isinstance(observation, SystemNotice)
    assert observation.text == "Nothing can be seen from 59:00 to 59:10: the video ends at 3:00."


def test_without_timeline_tools_a_time_is_part_of_the_query() -> None:
    request = looked("2:10-2:20: the sign", settings=RolloutSettings()).request
    assert request == VisionRequest(Look("2:10-2:20: the sign"), (TIMELINE.clips[0],))


def test_only_timeline_tools_offer_spans() -> None:
    assert not any("0:40" in line for line in offered_actions(AGENTS, "visual_query", "aX"))
    look = offered_actions(AGENTS, "visual_query", "aX", has_timeline_tools=True)[0]
    assert look.startswith("<visual_query>what to look for, or 0:40-0:50: what to look for")
    assert "0:40-0:50" in offered_tools(AGENTS, "aX", has_timeline_tools=True)[0].argument_description


def test_a_long_span_has_a_bounded_number_of_frames() -> None:
    clips = make_timeline(*[["line"]] * 300).clips
    assert len(sample_times_s(clips[:60], ())) == MAX_FRAMES
    assert len(sample_times_s(clips, ())) == 300  # one for each clip, none is left out
    second = cut_clips(make_timeline(["line"]).clips, TimeSpan(10, 11))
    assert sample_times_s(second, ())[:2] == [10.03, 10.1]
