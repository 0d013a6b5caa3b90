"""Rollouts and commands with Anthropic's messages API: equal traces, cached prompts, and the same marks through
OpenRouter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent import RolloutSettings, TeamConfig, ask, load_team, open_video
from longvideoagent.core.actions import Answer, Invalid, Look, Relocate
from longvideoagent.core.trace import Agents
from longvideoagent.core.types import Message
from longvideoagent.models.base import CallSettings, ModelOptions
from longvideoagent.models.openai import OpenAIModel, load_model
from longvideoagent.models.prompt_caching import with_cache_marks, without_cache_marks
from longvideoagent.models.spec import ModelSpec
from tests.fakes.anthropic_server import PromptCache, error, reply, text, thinking, tool_use
from tests.fakes.faulty_server import serving
from tests.plugins.cli import lva
from tests.plugins.media import write_video
from tests.plugins.traces import without_usage

OPTIONS = ["red", "grey"]
MARK = {"cache_control": {"type": "ephemeral"}}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips of grey, with subtitles, so that no text is read off the screen."""
    path = tmp_path_factory.mktemp("anthropic") / "talk.mp4"
    write_video(path, range(0, 180_000, 10_000))
    lines = [
        f"{n + 1}\n00:0{n // 6}:{n % 6}0,000 --> 00:0{n // 6}:{n % 6}5,000\nLine {n} says that the wall is grey\n"
        for n in range(18)
    ]
    path.with_suffix(".srt").write_text("\n".join(lines))
    return path


def team_of(url: str, *agents: str, dialect: str = "tools", **fields: Any) -> TeamConfig:
    """A team whose agents of these names are a model on the server; the others are offline."""
    tables: dict[str, Any] = {name: {"model": f"anthropic:m@{url}"} for name in agents}
    tables["master"]["dialect"] = dialect
    if "grounding" in tables:
        tables["grounding"]["structured_output"] = True
    return TeamConfig.model_validate({**tables, **fields})


@pytest.mark.parametrize("streams", [False, True])
def test_tool_calls_and_tags_give_equal_traces(video: Path, streams: bool) -> None:
    calls = [
        reply(thinking("hm"), tool_use("visual_query", reason="I must see it", query="the wall")),
        reply(thinking("hm"), tool_use("request_grounding", reason="not here", request="")),
        reply(thinking("hm"), tool_use("answer", reason="grey at 1:15", text="a1")),
    ]
    tags = [
        reply(thinking("hm"), text("<think>I must see it</think><visual_query>the wall</visual_query>")),
        reply(thinking("hm"), text("<think>not here</think><request_grounding></request_grounding>")),
        reply(thinking("hm"), text("<think>grey at 1:15</think><answer>a1</answer>")),
    ]
    traces = []
    for dialect, answers in (("tools", calls), ("tags", tags)):
        with serving(*answers) as (url, _):
            team = load_team(team_of(url, "master", dialect=dialect), on_text=(lambda _: None) if streams else None)
            traces.append(ask(video, "What colour?", OPTIONS, team=team))
    assert traces[0].answer == "grey"
    assert [type(each.action) for each in traces[0].rounds] == [Look, Relocate, Answer]
    assert {each.reply.reasoning for each in traces[0].rounds} == {"hm"}
    assert without_usage(traces[0]) == without_usage(traces[1])


def test_text_in_place_of_a_call_spends_its_round(video: Path) -> None:
    with serving(reply(text("I do not know")), reply(tool_use("answer", text="a1"))) as (url, server):
        trace = ask(video, "What colour?", OPTIONS, team=team_of(url, "master"))
    assert [type(each.action) for each in trace.rounds] == [Invalid, Answer]
    assert [each["role"] for each in server.requests[1]["messages"]] == ["user", "assistant", "user"]


# --- cached prompts ------------------------------------------------------------------------------


def clips(*labels: str) -> dict[str, Any]:
    return text(json.dumps({"clips": [{"label": label, "reason": "it may be here"} for label in labels]}))


def test_subtitles_read_from_the_cache_by_later_groundings(video: Path) -> None:
    cache = PromptCache()
    first_clip, second_clip = (clip.label for clip in open_video(video).timeline.clips[:2])
    answers = [
        cache.reply(clips(first_clip)),
        cache.reply(tool_use("request_grounding", reason="not here", request="the wall")),
        cache.reply(clips(second_clip)),
        cache.reply(tool_use("answer", reason="so", text="a1")),
    ]
    with serving(*answers, *answers) as (url, server):
        config = team_of(url, "master", "grounding")
        traces = [ask(video, question, OPTIONS, team=config) for question in ("What colour is it?", "Who speaks?")]
    assert [trace.answer for trace in traces] == ["grey", "grey"]
    groundings = [request for request in server.requests if "tools" not in request]
    assert len(groundings) == 4
    subtitles = [request["messages"][0]["content"][0] for request in groundings]
    assert all(block == subtitles[0] for block in subtitles)
    assert subtitles[0]["text"].endswith("Line 17 says that the wall is grey")
    assert [cached(request) for request in groundings] == [1] * 4
    assert len({json.dumps(request["output_config"]) for request in groundings}) == 1
    reads = [usage["cache_read_input_tokens"] for usage in cache.usages]
    grounding_reads = [reads[index] for index in (0, 2, 4, 6)]
    assert grounding_reads[0] == 0
    assert min(grounding_reads[1:]) > len(subtitles[0]["text"])


def test_conversation_read_from_the_cache_in_each_round(video: Path) -> None:
    cache = PromptCache()
    look = cache.reply(tool_use("visual_query", reason="why", query="the wall"))
    with serving(look, look, cache.reply(tool_use("answer", text="a1"))) as (url, server):
        trace = ask(video, "What colour?", OPTIONS, team=team_of(url, "master"))
    first, second, third = cache.usages
    assert first["cache_read_input_tokens"] == 0
    assert second["cache_read_input_tokens"] == first["cache_creation_input_tokens"]
    assert third["cache_read_input_tokens"] == sum(usage["cache_creation_input_tokens"] for usage in (first, second))
    assert [usage["input_tokens"] for usage in cache.usages] == [0, 0, 0]
    assert trace.usage.prompt_tokens == sum(sum(usage.values()) - usage["output_tokens"] for usage in cache.usages)
    assert [cached(request) for request in server.requests] == [2, 3, 3]  # the tools, the prompt, the newest message
    assert server.requests[0]["tools"] == server.requests[2]["tools"]


@pytest.mark.parametrize("style", ["turns", "accumulated", "continuation"])
def test_prompt_read_from_the_cache_in_each_style(style: str, video: Path) -> None:
    cache = PromptCache()
    look = cache.reply(text("<visual_query>the wall</visual_query>"))
    with serving(look, look, cache.reply(text("<answer>a1</answer>"))) as (url, server):
        ask(video, "What colour?", OPTIONS, team=team_of(url, "master", dialect="tags", style=style))
    reads = [usage["cache_read_input_tokens"] for usage in cache.usages]
    prompt = server.requests[0]["messages"][0]["content"][0]["text"]
    assert reads[0] == 0
    assert min(reads[1:]) > len(prompt)


def test_subtitles_read_from_the_cache_without_agents(video: Path) -> None:
    cache = PromptCache()
    settings = RolloutSettings(agents=Agents.NONE)
    with serving(cache.reply(text("<answer>a1</answer>"))) as (url, server):
        for question in ("What colour?", "Who speaks?"):
            ask(video, question, OPTIONS, team=team_of(url, "master", dialect="tags"), settings=settings)
    assert cache.usages[1]["cache_read_input_tokens"] == cache.usages[0]["cache_creation_input_tokens"] > 0
    assert "Line 17" in server.requests[0]["messages"][0]["content"][0]["text"]


def test_frames_marked_for_another_look(video: Path) -> None:
    with serving(
        reply(text("<visual_query>the wall</visual_query>")),
        reply(text("5.0 s: a grey wall")),
        reply(text("<answer>a1</answer>")),
    ) as (url, server):
        ask(video, "What colour?", OPTIONS, team=team_of(url, "master", "vision", dialect="tags"))
    blocks = server.requests[1]["messages"][0]["content"]
    marked = [index for index, block in enumerate(blocks) if "cache_control" in block]
    assert marked == [max(index for index, block in enumerate(blocks) if block["type"] == "image")]


def cached(request: dict[str, Any]) -> int:
    """The number of marks in a request."""
    return json.dumps(request).count("cache_control")


CONTENTS = st.one_of(
    st.text(max_size=20),
    st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": st.text(min_size=1, max_size=9)}), max_size=3),
)
MESSAGES = st.lists(st.tuples(st.sampled_from(["user", "assistant", "tool"]), CONTENTS), min_size=1, max_size=6)


@given(MESSAGES, st.integers(0, 25))
def test_marks_change_nothing_else(chat: list[tuple[str, Any]], shared_chars: int) -> None:
    messages: list[dict[str, Any]] = [{"role": role, "content": content} for role, content in chat]
    messages[0]["shared_chars"] = shared_chars
    marked = with_cache_marks(messages)
    assert json.dumps(marked).count("cache_control") <= 2

    def plain(value: Any) -> str:
        return value if isinstance(value, str) else "".join(block["text"] for block in value)

    for before, after in zip(messages, without_cache_marks(marked), strict=True):
        assert after.keys() == {"role", "content"}
        assert plain(after["content"]).strip() == plain(before["content"]).strip()


# --- the same marks through OpenRouter -----------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "marks_cache"),
    [
        ("openrouter:anthropic/claude-haiku-4.5", True),
        ("openrouter:openai/gpt-5-mini", False),
        ("dashscope:qwen3-vl-plus", False),
        ("openai:m", False),
    ],
)
def test_marks_through_openrouter(spec: str, marks_cache: bool) -> None:
    model = load_model(ModelSpec.parse(spec), ModelOptions())
    chat = [
        Message(role="user", content="the subtitles. the question", shared_chars=14),
        Message(role="assistant", content="so"),
        Message(role="user", content="again"),
    ]
    messages = model.request_body(chat, CallSettings())["messages"]
    whole = {"type": "text", "text": "the subtitles."}
    rest = {"type": "text", "text": " the question"}
    content = [{**whole, **MARK}, rest] if marks_cache else "the subtitles. the question"
    assert messages == [{"role": "user", "content": content}, *(dict(message) for message in chat[1:])]


def test_growing_chat_marked_through_openrouter() -> None:
    chat = [
        Message(role="user", content="prompt"),
        Message(role="assistant", content="so"),
        Message(role="user", content="seen"),
    ]
    body = OpenAIModel("anthropic/m", "http://h/v1", marks_cache=True).request_body(chat, CallSettings())
    contents = [message["content"] for message in body["messages"]]
    assert contents == [[{**text("prompt"), **MARK}], "so", [{**text("seen"), **MARK}]]


# --- commands ------------------------------------------------------------------------------------


def test_lva_ask(video: Path, tmp_path: Path) -> None:
    answer = reply(text("<think>so</think><answer>a1</answer>"))
    with serving(answer) as (url, server):
        question = ("ask", video, "What colour?", "-o", "red", "-o", "grey", "-m", f"anthropic:m@{url}")
        environment = {"XDG_CACHE_HOME": str(tmp_path), "ANTHROPIC_API_KEY": "sk-ant-1"}
        done = [lva(*question, env=environment) for _ in range(2)]
    assert [each.returncode for each in done] == [0, 0], done[0].stderr
    assert "= a1 grey" in done[0].stdout
    assert {headers["x-api-key"] for headers in server.headers} == {"sk-ant-1"}
    num_requests = len(server.requests)
    assert num_requests == len({json.dumps(request) for request in server.requests})  # the second question was cached


def test_doctor_team(tmp_path: Path) -> None:
    team = '[master]\nmodel = "anthropic:m@URL"\n[vision]\nmodel = "anthropic:m@URL"'
    stopped = reply(text("<answer>a0"), stop_reason="stop_sequence", stop_sequence="</answer>")
    with serving(stopped, models=[{"id": "m", "type": "model", "max_input_tokens": 200_000}]) as (url, server):
        (tmp_path / "team.toml").write_text(team.replace("URL", url))
        done = lva("doctor", "--team", tmp_path / "team.toml", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    master, vision = record["master"]["server"], record["vision"]["server"]
    assert (master["max_context_tokens"], master["is_stop_sent"], master["honors_stop"]) == (200_000, True, True)
    assert vision["accepts_images"] is True
    assert len(server.requests) == 2


def test_doctor_team_adaptations(tmp_path: Path) -> None:
    refusal = error(400, "invalid_request_error", "`temperature` is deprecated for this model.")
    with serving(refusal, reply(thinking("so"), text("<answer>a0"))) as (url, _):
        (tmp_path / "team.toml").write_text(f'[master]\nmodel = "anthropic:m@{url}"')
        done = lva("doctor", "--team", tmp_path / "team.toml", "--json")
    master = json.loads(done.stdout)["master"]
    assert master["server"]["reasoning"] == "in a field of its own"
    assert any("temperature, which is left out" in remark for remark in master["remarks"])


def test_doctor_team_error(tmp_path: Path) -> None:
    with serving(error(401, "authentication_error", "invalid x-api-key")) as (url, _):
        (tmp_path / "team.toml").write_text(f'[master]\nmodel = "anthropic:m@{url}"')
        done = lva("doctor", "--team", tmp_path / "team.toml")
    assert done.returncode == 1
    assert "the key in ANTHROPIC_API_KEY was refused" in done.stdout
