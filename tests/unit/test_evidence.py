"""The evidence of a model master's answer."""

from __future__ import annotations

import asyncio

from longvideoagent.agents.evidence import answer_evidence
from longvideoagent.agents.master import ModelMaster
from longvideoagent.core.rollout import Rollout
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import (
    Clip,
    Evidence,
    GroundingResult,
    Question,
    Reply,
    Subtitle,
    Timeline,
    VisionResult,
)
from longvideoagent.models.scripted import ScriptedModel

CLIP = Clip(
    "c01",
    0.0,
    60.0,
    (
        Subtitle(5.0, 7.0, "Mira: the train to the harbour is late"),
        Subtitle(20.0, 22.0, "Otto: nice weather"),
        Subtitle(40.0, 42.0, "Mira: then I take the ferry"),
        Subtitle(50.0, 51.0, "FERRY X9#", "screen"),
    ),
)
TIMELINE = Timeline((CLIP, Clip("c02", 60.0, 120.0, (Subtitle(70.0, 72.0, "the ferry is full"),))))
QUESTION = Question("How does Mira travel to the harbour?", ("by bus", "by ferry"))


def read_trace(question: Question = QUESTION, *results: VisionResult) -> Trace:
    """The trace of a master that has read the first clip, and looked once for each result."""
    rollout = Rollout(question, TIMELINE)
    rollout.receive(GroundingResult("c01"))
    for result in results:
        rollout.receive(Reply("<visual_query>the boat</visual_query>"))
        rollout.receive(result)
    return rollout.trace


def seen(time_s: float, text: str) -> Evidence:
    return Evidence("c01", time_s, time_s, "frame", time_s, text)


def test_evidence_lines_share_words() -> None:
    assert [each.text for each in answer_evidence(read_trace(), "", "a1")] == [
        "Mira: the train to the harbour is late",
        "Mira: then I take the ferry",
    ]


def test_evidence_of_unvisited_clips_and_screen_text_left_out() -> None:
    assert [each.time_s for each in answer_evidence(read_trace(Question("What is full?")), "", "the ferry")] == [40.0]


def test_evidence_cited_times() -> None:
    evidence = answer_evidence(read_trace(), "At 0:21 he speaks of it, at 0:31 it rains, and at 9:00 nothing.", "a0")
    assert Evidence("c01", 31.0, 31.0, "frame", 31.0, "cited by the master") in evidence
    assert "Otto: nice weather" in [each.text for each in evidence]
    assert [each.time_s for each in evidence] == sorted(each.time_s for each in evidence)
    assert max(each.time_s for each in evidence) < 60


def test_evidence_frames_that_share_words() -> None:
    result = VisionResult("…", (seen(12.0, "a white boat"), seen(13.0, "Ⅱ text: 7$k")))
    evidence = answer_evidence(read_trace(QUESTION, result), "", "a1")
    assert [each.text for each in evidence if each.kind == "frame"] == ["a white boat"]
    missing = VisionResult("not shown", (seen(12.0, "a white boat"),), is_found=False)
    assert not [each for each in answer_evidence(read_trace(QUESTION, missing), "", "a1") if each.kind == "frame"]


def test_evidence_cited_frame_stands_for_its_description() -> None:
    result = VisionResult("…", (seen(12.4, "a white boat"),))
    evidence = answer_evidence(read_trace(QUESTION, result), "It is there at 12 s.", "a1")
    assert [each.text for each in evidence if each.kind == "frame"] == ["a white boat"]


def test_master_reply_holds_evidence_of_answers_only() -> None:
    master = ModelMaster(ScriptedModel(["<visual_query>the boat</visual_query>", "<answer>a1</answer>"]))
    look, answer = (asyncio.run(master.reply(read_trace())) for _ in range(2))
    assert look.evidence is None
    assert answer.evidence
    rollout = Rollout(QUESTION, TIMELINE)
    rollout.receive(GroundingResult("c01", evidence=(seen(3.0, "noise"),)))
    rollout.receive(answer)
    assert rollout.trace.evidence == answer.evidence
