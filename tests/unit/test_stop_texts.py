"""Where a server is asked to stop a master that writes tags, and what becomes of a reply that was stopped there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from longvideoagent import RolloutSettings, TeamConfig, Trace, ask, load_team
from longvideoagent.agents.prompts import default_layout
from longvideoagent.agents.prompts.public_code import import_layout
from longvideoagent.core.actions import Invalid
from longvideoagent.core.context import assistant_text
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.protocol import MAX_STOP_TEXTS
from longvideoagent.core.stop_texts import observation_starts, stop_texts
from longvideoagent.core.trace import Agents
from longvideoagent.models.base import CallSettings
from longvideoagent.models.stopping import end_reply, may_end
from tests.fakes.faulty_server import Fault, Server, completion, say, serving
from tests.fakes.public_checkout import write_checkout

OPTIONS = ["red", "grey"]
ANSWER = "<think>hm</think><answer>a1"


def run(video: Path, *answers: Fault, streams: bool = False, **master: Any) -> tuple[Trace, Server]:
    """A rollout whose master writes tags on a server that gives these answers."""
    with serving(*answers) as (url, server):
        config = TeamConfig.model_validate({"master": {"model": f"openai:m@{url}", **master}})
        team = load_team(config, on_text=(lambda _: None) if streams else None)
        return ask(video, "What colour?", OPTIONS, team=team), server


def test_stop_texts_of_the_default_layout(grey_talk: Path) -> None:
    _, server = run(grey_talk, say(ANSWER))
    assert server.requests[0]["stop"] == ["<information>", "<New_clip>", "</answer>", "</visual_query>"]


def test_stop_texts_follow_the_layout_and_the_team(tmp_path: Path) -> None:
    settings, layout = RolloutSettings(), default_layout()
    own = replace(layout, vision_result="\n<frames>\n$seen</frames>", new_clip="Now: $lines", notice="<note>$text")
    own = replace(own, invalid_reply="<answer>none</answer>")
    assert observation_starts(own) == ("<frames>", "<note>")
    assert stop_texts(own, "search", settings) == ("<frames>", "<note>", "</answer>", "</search>")
    without_vision = replace(settings, agents=Agents.GROUNDING)
    starts = ("<information>", "<New_clip>")
    assert stop_texts(layout, "search", without_vision) == (*starts, "</answer>", "</request_grounding>")
    assert stop_texts(layout, "search", replace(settings, agents=Agents.NONE)) == (*starts, "</answer>")
    public = import_layout(write_checkout(tmp_path / "LongVideoAgent"), "public-training")
    assert stop_texts(public, "visual_query", settings) == (*starts, "</answer>", "</search>")


def test_ends_of_actions_come_first_if_actions_count_anywhere() -> None:
    stops = stop_texts(default_layout(), "search", RolloutSettings(timeline_tools=True), actions_anywhere=True)
    assert stops[:3] == ("</answer>", "</search>", "</request_grounding>")
    assert len(stops) == MAX_STOP_TEXTS


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("name", ["stop_reason", "matched_stop"])
def test_reply_stopped_at_an_observation_is_an_invalid_round(grey_talk: Path, name: str, streams: bool) -> None:
    cut = say("The agent says ", {name: "<information>"})
    trace, server = run(grey_talk, cut, say(ANSWER), streams=streams)
    assert (trace.outcome, trace.answer) == (Outcome.ANSWERED, "grey")
    first = trace.rounds[0]
    assert first.reply.text == "The agent says <information>"
    assert isinstance(first.action, Invalid)
    assert first.action.reason == "the reply was stopped at <information>, which only the loop writes, before an action"
    assert "a reply of 'm' was stopped at <information>, which only the loop writes" in trace.warnings
    assert len(server.requests) == 2


def test_action_that_was_left_open_is_not_closed_for_another_stop_text(grey_talk: Path) -> None:
    trace, _ = run(grey_talk, say("<answer>a0 ", {"stop_reason": "<information>"}), say(ANSWER))
    assert (trace.answer, len(trace.rounds)) == ("grey", 2)


def test_server_without_stop_texts_does_not_let_made_up_observations_count(grey_talk: Path) -> None:
    made_up = say("Look: <information>\nThe wall is red.\n</information>\n<answer>a0</answer>")
    trace, _ = run(grey_talk, made_up, say(ANSWER))
    assert trace.answer == "grey"
    assert trace.rounds[0].reply.text == "Look: <information>"
    assert any("stopped at <information>" in each for each in trace.warnings)


def test_observation_after_an_action_and_within_a_thought_change_nothing(grey_talk: Path) -> None:
    text = "<think>The <information> says grey.</think><answer>a1</answer>\n<information>more</information>"
    trace, _ = run(grey_talk, say(text))
    assert (trace.answer, len(trace.rounds)) == ("grey", 1)
    assert "The <information> says grey." in trace.rounds[0].thought


def test_reply_of_a_stop_text_alone(grey_talk: Path) -> None:
    """Servers that do not name the text leave an empty reply, whose tokens show that the model wrote something."""
    answers: list[Fault] = [say("", {"stop_reason": "<New_clip>"}), say(""), say(ANSWER)]
    trace, server = run(grey_talk, *answers)
    assert trace.answer == "grey"
    assert [each.reply.text for each in trace.rounds[:2]] == ["<New_clip>", ""]
    assert any("stopped at once" in each for each in trace.warnings)
    assert len(server.requests) == 3
    written = [each["content"] for each in server.requests[-1]["messages"] if each["role"] == "assistant"]
    assert all(written)  # many servers refuse an empty message
    assert assistant_text(trace.rounds[1]) == written[1]


def test_end_of_turn_alone_is_still_an_empty_reply(grey_talk: Path) -> None:
    async def nothing(_: web.Request) -> web.Response:
        message = {"role": "assistant", "content": ""}
        usage = {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}
        return web.json_response(completion("chat.completion", message=message) | {"usage": usage})

    trace, server = run(grey_talk, nothing, say(ANSWER))
    assert (trace.answer, len(trace.rounds)) == ("grey", 1)
    assert len(server.requests) == 2


def test_reasoning_model_is_not_stopped(grey_talk: Path) -> None:
    _, server = run(grey_talk, say(f"{ANSWER}</answer>"), reasoning=True)
    assert "stop" not in server.requests[0]


def test_reply_may_end_outside_thoughts_only() -> None:
    settings = CallSettings(stop_at_action=True, stop_texts=("<New_clip>", "</answer>"))
    assert not may_end("<think>then <New_clip>", settings)
    assert not may_end("<think>then <New_clip></think> so", settings)
    assert may_end("so <New_clip>", settings)
    assert end_reply("m", "a <New_clip> b <New_clip>", settings).text == "a <New_clip>"
    assert end_reply("m", "a <New_clip> b", CallSettings()).text == "a <New_clip> b"
