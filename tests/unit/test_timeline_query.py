"""Questions about a whole video: the queries of its timeline, and what the offline master makes of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent import TeamConfig, ask
from longvideoagent.agents.config import AgentConfig
from longvideoagent.agents.offline.master import decide
from longvideoagent.agents.offline.question_kinds import timeline_question
from longvideoagent.agents.team_file import load_team_config
from longvideoagent.core.actions import AgentName, Answer, QueryTimeline, offered_actions, offered_tools
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.rollout import MasterRequest, Rollout, TimelineRequest
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import (
    Clip,
    GroundingResult,
    Question,
    Reply,
    Subtitle,
    SystemNotice,
    Timeline,
    TimelineResult,
)
from longvideoagent.index.query import query_timeline
from longvideoagent.index.speakers import split_speaker
from longvideoagent.views.trace_dict import trace_from_dict, trace_to_dict
from tests.plugins.cli import lva
from tests.plugins.media import write_video

TOOLS = RolloutSettings(timeline_tools=True)
LINES = (
    (2.0, "Mira: The lantern is red."),
    (30.0, "Otto: Lanterns are old, said the lantern maker."),
    (70.0, "Mira: We meet at the harbour."),
    (75.0, "Lena: I will be there."),
    (100.0, "Otto: The bakery is closed."),
    (150.0, "Mira: So much for the lantern."),
)


def timeline(*lines: tuple[float, str], source: Literal["subtitle", "screen"] = "subtitle") -> Timeline:
    subtitles = [Subtitle(start_s, start_s + 3.0, text, source) for start_s, text in lines]
    clips = [
        Clip(f"c{n + 1:02}", 60.0 * n, 60.0 * n + 60, tuple(s for s in subtitles if 60 * n <= s.start_s < 60 * n + 60))
        for n in range(3)
    ]
    return Timeline(tuple(clips))


TALK = timeline(*LINES)


# --- queries --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "value", "times_s"),
    [
        ("count lantern", "4 times", [2.0, 30.0, 150.0]),
        ("count lantern by Mira", "2 times", [2.0, 150.0]),
        ('count "the lantern"', "3 times", [2.0, 30.0, 150.0]),
        ("count harbour", "once", [70.0]),
        ("first lantern", "at 0:02", [2.0]),
        ("last lantern", "at 2:30", [150.0]),
        ("nth 2 lantern", "at 0:30", [30.0]),
        ("nth 3 by Mira", "at 2:30", [150.0]),
        ("first", "at 0:02", [2.0]),
        ("last", "at 2:30", [150.0]),
        ("first by Otto", "at 0:30", [30.0]),
        ("order bakery ; harbour", "harbour, bakery", [70.0, 100.0]),
        ("order bakery | harbour | zeppelin", "harbour, bakery (not found: zeppelin)", [70.0, 100.0]),
        ("order zeppelin ; harbour", "harbour (not found: zeppelin)", [70.0]),
        ("after harbour", "“Lena: I will be there.” (1:15)", [75.0, 100.0, 150.0]),
        ("before harbour", "“Otto: Lanterns are old, said the lantern maker.” (0:30)", [2.0, 30.0]),
        ("before 1:10", "“Otto: Lanterns are old, said the lantern maker.” (0:30)", [2.0, 30.0]),
        ("after 1:10", "“Lena: I will be there.” (1:15)", [75.0, 100.0, 150.0]),
        ("after 1:10 by Otto", "“Otto: The bakery is closed.” (1:40)", [100.0]),
        ("at 1:11 by mira", "“Mira: We meet at the harbour.” (1:10)", [70.0]),
        (
            "between 0:00 2:00 by Mira",
            "“Mira: The lantern is red.” (0:02) “Mira: We meet at the harbour.” (1:10)",
            [2.0, 70.0],
        ),
        ("at 1:11", "“Mira: We meet at the harbour.” (1:10)", [70.0]),
        ("at 72 s", "“Mira: We meet at the harbour.” (1:10)", [70.0]),
        ("between 1:05 1:20", "“Mira: We meet at the harbour.” (1:10) “Lena: I will be there.” (1:15)", [70.0, 75.0]),
        ("between 1:20 1:05", "“Mira: We meet at the harbour.” (1:10) “Lena: I will be there.” (1:15)", [70.0, 75.0]),
        ("speakers", "Mira, 3 lines", [2.0, 70.0, 150.0]),
        ("length", "3:00", [180.0]),
        ("find harbour", "“Mira: We meet at the harbour.” (1:10)", [70.0]),
        ("FIND:  lantern   red", "“Mira: The lantern is red.” (0:02)", [2.0]),
    ],
)
def test_query(query: str, value: str, times_s: list[float]) -> None:
    result = query_timeline(query, TALK)
    assert result.is_found
    assert result.value == value
    assert [each.time_s for each in result.evidence] == times_s
    assert result.usage.calls == 0


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("count zeppelin", "none of the 6 lines of the video has 'zeppelin'"),
        ("find", "none of the 6 lines"),
        ("at 9:00", "9:00 is after the end of the video, 3:00"),
        ("before 0:01", "no line comes before 0:01"),
        ("after 9:00", "9:00 is after the end of the video, 3:00"),
        ("after 2:20 by Otto", "no line by Otto comes after 2:20"),
        ("at 1:11 by Otto", "no line by Otto is spoken or shown at 1:11"),
        ("at 1:11 by Nobody", "no line by Nobody is spoken"),
        ("at 1:11 by harbour", "no line by harbour is spoken"),  # a word of that line, and not its speaker
        ("between 1:05 1:20 by harbour", "no line by harbour is spoken"),
        ("before 2:00 by harbour", "no line by harbour comes before 2:00"),
        ("at noon", "not a time; write at 7:29"),
        ("at 2:10", "no line is spoken or shown at 2:10"),
        ("between 1:05 1:20 by Otto", "no line by Otto is spoken"),
        ("between 1:00", "give two times"),
        ("between 8:00 9:00", "is after the end of the video"),
        ("order balloon ; zeppelin", "none of the 6 lines"),
        ("order harbour", "none of the 6 lines"),
        ("nth 4 lantern", "'lantern' is in 3 lines, so there is no line 4"),
        ("nth 2 zeppelin", "none of the 6 lines"),
        ("nth lantern", "begin with a number; write nth 3 WORDS"),
        ("nth 0 lantern", "begin with a number"),
        ("speakers Mira ; Zoe", "no line is of a speaker 'Zoe'; there are Mira, Otto"),
        ("after lantern maker by Nobody", "none of the 6 lines"),
        ("after so much", "no line comes after it"),
        ("screen_texts", "no text on screen is known"),
        ("dance", "'dance' is not a query; write one of: find WORDS"),
        ("", "is not a query"),
    ],
)
def test_query_without_a_result(query: str, text: str) -> None:
    result = query_timeline(query, TALK)
    assert not result.is_found
    assert text in result.text
    assert result.evidence == ()


def test_texts_on_screen_each_once() -> None:
    shown = timeline((5.0, "EXIT"), (50.0, "Menu"), (90.0, "Exit"), source="screen")
    result = query_timeline("screen_texts", shown)
    assert (result.value, len(result.evidence)) == ("EXIT, Menu", 2)
    assert {each.kind for each in result.evidence} == {"frame"}


def test_many_occurrences_are_all_cited() -> None:
    many = timeline(*((float(n), f"Mira: lantern {n}") for n in range(60)))
    result = query_timeline("count lantern", many)
    assert len(result.evidence) == 60
    assert result.text.endswith("and 40 more lines")


def test_overview_has_lines_of_all_parts() -> None:
    many = timeline(
        *((3.0 * n, f"Mira: we talk about {'boats' if n < 30 else 'trains'} and number {n}") for n in range(60))
    )
    result = query_timeline("overview", many)
    assert len(result.evidence) == 8
    assert {each.clip for each in result.evidence} == {"c01", "c02", "c03"}
    assert "boats" in result.value
    assert "trains" in result.value


@given(st.text(max_size=200), st.lists(st.text(max_size=40), max_size=5))
def test_any_query_ends_in_a_result(query: str, texts: list[str]) -> None:
    lines = timeline(*((10.0 * n, text) for n, text in enumerate(texts)))
    for name in ("", "find ", "count ", "first ", "order ", "at ", "between ", "before ", "speakers ", "overview "):
        result = query_timeline(f"{name}{query}", lines)
        assert result.text
        assert all(0 <= each.time_s <= lines.duration_s for each in result.evidence)


@pytest.mark.parametrize(
    ("text", "speaker", "words"),
    [
        ("Mira: Hello", "Mira", "Hello"),
        ("[MIRA]: Hello", "MIRA", "Hello"),
        ("(Dr. Lund): Hello", "Dr. Lund", "Hello"),
        ("Note: this is it", "Note", "this is it"),
        ("at the door: a man", "", "at the door: a man"),
        ("12:30", "", "12:30"),
        ("It is 12: go", "", "It is 12: go"),
        ("Hello", "", "Hello"),
    ],
)
def test_split_speaker(text: str, speaker: str, words: str) -> None:
    assert split_speaker(text) == (speaker, words)


# --- kinds of questions ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "query"),
    [
        ("How many times is the word “lantern” said?", "count “lantern”"),
        ("How often does Felix say lantern?", "count lantern by Felix"),
        ("How often do they mention the harbour in the film?", "count harbour"),
        ("Who speaks first?", "first"),
        ("Who is the last person to speak?", "last"),
        ("What are the last words said in the film?", "last"),
        ("What does Mira say last?", "last by Mira"),
        ("When is the lantern first mentioned?", "first lantern"),
        ("When does Otto first mention the bus?", "first bus by Otto"),
        ("In which order are the harbour, the bakery and the station mentioned?", "order harbour ; bakery ; station"),
        ("Which is mentioned first, the bakery or the harbour?", "order bakery ; harbour"),
        ("Who talks the most?", "speakers"),
        ("What is said at 7:29?", "at 7:29"),
        ("What happens from 5:00 to 5:30?", "between 5:00 5:30"),
        ("How long is the video?", "length"),
        ("List every sign.", "screen_texts"),
        ("Which signs are shown?", "screen_texts"),
        ("Sum up the video", "overview"),
        ("What is this film about?", "overview"),
    ],
)
def test_question_kind(question: str, query: str) -> None:
    found = timeline_question(question)
    assert found is not None
    assert found.query == query


@pytest.mark.parametrize(
    "question",
    [
        "Who is late?",
        "What colour is the shirt of the person who says hello?",
        "How long does Mira wait for the bus?",
        "What does the sign say when Otto says hello?",
        "How often is the red box shown?",
        "When is the box moved?",
        "What is on the table?",
        "What is the title of the film?",
        "Who is the first to speak after Penny shuts the door?",
        "How many times does Arthur say hello when he comes in?",
        "",
        "what " * 200,
    ],
)
def test_question_without_a_kind(question: str) -> None:
    assert timeline_question(question) is None


# --- the offline master ---------------------------------------------------------------------------


def offline_answer(question: str, *options: str, lines: Timeline = TALK) -> Reply:
    """The second reply of a rollout whose first is expected to query."""
    rollout = Rollout(Question(question, options), lines, TOOLS)
    rollout.receive(GroundingResult("c01"))
    rollout.receive(decide(rollout.trace))
    request = rollout.request
    assert isinstance(request, TimelineRequest)
    rollout.receive(query_timeline(request.query, request.timeline))
    return decide(rollout.trace)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("speakers", "1 speaker, by lines"),
        ("speakers", "Mira: 1 line, 3 s of speech"),
        ("speaker_names", "1 speaker, first lines"),
        ("overview", "1 of 1 line, one of each part"),
        ("first", "the only line that matches"),
        ("count zeppelin", "none of the 1 line of the video"),
        ("length", "in 3 clips"),
    ],
)
def test_query_of_a_single_line(query: str, text: str) -> None:
    assert text in query_timeline(query, timeline((2.0, "Mira: The lantern is red."))).text


def test_speaker_of_a_single_line_fits_an_option() -> None:
    one = timeline((2.0, "Mira: The lantern is red."))
    assert "<answer>Mira, 1 line</answer>" in offline_answer("Who talks the most?", lines=one).text
    assert "<answer>a1</answer>" in offline_answer("Who talks the most?", "Otto", "Mira", lines=one).text


@pytest.mark.parametrize(
    ("question", "answer", "num_cited"),
    [
        ("How often does anyone say lantern?", "4 times", 3),
        ("Who speaks last?", "Mira", 1),
        ("Who talks the most?", "Mira, 3 lines", 3),
        ("When is the bakery mentioned?", "at 1:40: “Otto: The bakery is closed.”", 1),
        ("What does Lena say first?", "“Lena: I will be there.” (1:15)", 1),
    ],
)
def test_open_answer(question: str, answer: str, num_cited: int) -> None:
    reply = offline_answer(question)
    assert f"<answer>{answer}</answer>" in reply.text
    assert reply.evidence is not None
    assert len(reply.evidence) == num_cited
    assert reply.confidence == 0.8


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is the bakery mentioned before the harbour?", "No: first occurrences: harbour at 1:10, then bakery at 1:40"),
        ("Is the bakery mentioned after the harbour?", "Yes: first occurrences: harbour at 1:10, then bakery at 1:40"),
        ("Does Otto speak before Lena?", "Yes: first occurrences: by Otto at 0:30, then by Lena at 1:15"),
    ],
)
def test_one_before_the_other(question: str, answer: str) -> None:
    reply = offline_answer(question)
    assert f"<answer>{answer}</answer>" in reply.text
    assert reply.confidence == 0.8
    chosen = offline_answer(question, "Yes", "No").text
    assert f"<answer>a{0 if answer.startswith('Yes') else 1}</answer>" in chosen


FEW_NAMES = timeline((2.0, "Otto: Lanterns are old."), *((10.0 + n, "The lantern is red.") for n in range(3)))


@pytest.mark.parametrize("query", ["speakers", "talk_time", "talk_time Otto", "speaker_names"])
def test_query_counts_lines_that_do_not_name_their_speaker(query: str) -> None:
    few = query_timeline(query, FEW_NAMES)
    assert few.num_unnamed == 3
    assert few.text.endswith("3 of 4 lines do not name their speaker")
    most = query_timeline(query, timeline(*LINES, (160.0, "(a bell rings)")))
    assert most.num_unnamed == 0
    assert "do not name" not in most.text


def test_query_of_speakers_counts_no_text_on_screen() -> None:
    shown = timeline((30.0, "BAKERY"), (60.0, "HARBOUR"), source="screen").clips
    spoken = timeline((2.0, "Otto: Lanterns are old.")).clips
    both = Timeline(
        tuple(replace(a, subtitles=(*a.subtitles, *b.subtitles)) for a, b in zip(spoken, shown, strict=True))
    )
    assert query_timeline("speakers", both).num_unnamed == 0


def test_query_without_speakers_does_not_count_lines() -> None:
    assert query_timeline("speakers", timeline((2.0, "The lantern is red."))).text == "no line names its speaker"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How many people speak?", "at least 1: Otto"),
        ("How many lines does Otto have?", "at least 1 line"),
        ("How long does Otto speak?", "at least 3 s"),
        ("Who talks the most?", "Otto, at least 1 line"),
        ("Who speaks longest?", "Otto, at least 3 s"),
        ("Who are all the speakers?", "Otto"),
    ],
)
def test_answer_where_few_lines_name_their_speaker(question: str, answer: str) -> None:
    reply = offline_answer(question, lines=FEW_NAMES)
    assert f"<answer>{answer}</answer>" in reply.text
    assert reply.confidence == 0.4
    options = ("Mira", "Otto") if "Otto" in answer else ("2 lines", "1 line") if "line" in answer else ("9 s", "3 s")
    if not question.startswith("How many people"):
        assert "<answer>a1</answer>" in offline_answer(question, *options, lines=FEW_NAMES).text


def test_result_with_unnamed_lines_is_kept_in_a_trace() -> None:
    rollout = Rollout(Question("How many people speak?"), FEW_NAMES, TOOLS)
    rollout.receive(GroundingResult("c01"))
    rollout.receive(Reply("<query_timeline>speakers</query_timeline>"))
    request = rollout.request
    assert isinstance(request, TimelineRequest)
    rollout.receive(query_timeline(request.query, request.timeline))
    record = trace_to_dict(rollout.trace)
    assert record["rounds"][0]["observation"]["num_unnamed"] == 3
    assert trace_from_dict(record) == rollout.trace


def test_people_compared_whatever_the_case_of_their_names() -> None:
    loud = timeline(*((start_s, text.replace("Mira:", "MIRA:")) for start_s, text in LINES))
    assert "<answer>Yes: MIRA, 3 lines</answer>" in offline_answer("Does Mira talk more than Otto?", lines=loud).text
    assert "<answer>No: MIRA, 3 lines</answer>" in offline_answer("Does Otto talk more than Mira?", lines=loud).text


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Who talks more, Otto or Mira?", "Mira, 3 lines"),
        ("Does Otto talk more than Mira?", "No: Mira, 3 lines"),
        ("Does Mira talk more than Otto?", "Yes: Mira, 3 lines"),
        ("In which order do Lena, Otto and Mira speak?", "Mira, Otto, Lena"),
    ],
)
def test_people_compared(question: str, answer: str) -> None:
    reply = offline_answer(question)
    assert f"<answer>{answer}</answer>" in reply.text
    assert reply.confidence == 0.8


def test_line_near_a_time_is_a_weak_answer() -> None:
    near = offline_answer("What is said at 1:50?")
    assert "1:40" in near.text
    assert near.confidence == 0.4


def test_list_of_texts_may_lack_some() -> None:
    shown = timeline((5.0, "EXIT"), (50.0, "Menu"), source="screen")
    reply = offline_answer("List all the texts on screen.", lines=shown)
    assert "<answer>EXIT, Menu</answer>" in reply.text
    assert reply.confidence == 0.4


def test_first_line_of_what_was_read_is_a_weak_answer() -> None:
    part = replace(TALK, unread="the text on screen was read in one frame every 10 s")
    assert offline_answer("When is the bakery mentioned?", lines=part).confidence == 0.4


@pytest.mark.parametrize("question", ["How often is Mira thanked?", "Who speaks more than Lena does in all?"])
def test_one_moment_says_little_about_the_whole(question: str) -> None:
    rollout = Rollout(
        Question(question, ("Mira: The lantern", "zebra")), TALK, RolloutSettings(timeline_tools=True, max_rounds=1)
    )
    rollout.receive(GroundingResult("c01"))
    assert (decide(rollout.trace).confidence or 1) <= 0.4


def test_one_thing_never_occurs() -> None:
    assert "<answer></answer>" in offline_answer("Is the zeppelin mentioned before the harbour?").text
    first = offline_answer("Which is mentioned first, the zeppelin or the harbour?")
    assert "<answer>harbour, at 1:10</answer>" in first.text
    assert first.confidence == 0.4


def test_word_that_no_line_has_is_a_weak_answer() -> None:
    reply = offline_answer("How often is the zeppelin mentioned?")
    assert "<answer>0 times</answer>" in reply.text
    assert (reply.confidence, reply.evidence) == (0.4, ())


@pytest.mark.parametrize(
    ("question", "options", "chosen"),
    [
        ("How often is the lantern mentioned?", ("twice", "3", "four times", "5 times"), "a2"),
        ("Who talks the most?", ("Otto", "Lena", "Mira"), "a2"),
        ("When is the bakery mentioned?", ("at 0:40", "at 1:42", "at 2:40"), "a1"),
        ("In which order are the bakery and the harbour mentioned?",
         ("the bakery, then the harbour", "the harbour, then the bakery"), "a1"),
        ("Who speaks last?", ("Lena", "Mira"), "a1"),
    ],
)  # fmt: skip
def test_option_that_fits(question: str, options: tuple[str, ...], chosen: str) -> None:
    assert f"<answer>{chosen}</answer>" in offline_answer(question, *options).text


def test_options_that_do_not_fit_go_the_way_of_retrieval() -> None:
    reply = offline_answer("How often is the lantern mentioned?", "seven times", "eight times")
    assert reply.confidence != 0.8


def test_offline_team_answers_a_film(tmp_path: Path) -> None:
    path = tmp_path / "talk.mp4"
    write_video(path, range(0, 9_000, 500))
    path.with_suffix(".srt").write_text(
        "\n".join(f"{n}\n00:00:0{n},000 --> 00:00:0{n},900\nMira: lantern {n}\n" for n in range(1, 5))
    )
    trace = json.loads(lva("ask", path, "How often is the lantern mentioned?", "--json").stdout)
    assert trace["answer"] == "4 times"
    assert [each["time_s"] for each in trace["evidence"]] == [1.0, 2.0, 3.0, 4.0]
    assert trace["rounds"][0]["action"] == "query_timeline"
    assert trace["settings"]["timeline_tools"] is True
    assert trace["hint"] == ""


# --- the loop and the master that is a model ------------------------------------------------------

QUERY = Reply("<query_timeline>count lantern</query_timeline>")


def test_query_becomes_a_request_and_an_observation() -> None:
    rollout = Rollout(Question("How often?"), TALK, TOOLS)
    rollout.receive(GroundingResult("c01"))
    rollout.receive(QUERY)
    request = rollout.request
    assert request == TimelineRequest("count lantern", TALK)
    rollout.receive(query_timeline("count lantern", TALK))
    assert isinstance(rollout.request, MasterRequest)
    assert isinstance(rollout.trace.rounds[0].action, QueryTimeline)
    rollout.receive(Reply("<answer>4</answer>"))
    assert rollout.trace.outcome is Outcome.ANSWERED
    assert len(rollout.trace.evidence) == 3  # the master names none
    assert trace_from_dict(json.loads(json.dumps(trace_to_dict(rollout.trace)))) == rollout.trace


def test_query_without_timeline_tools_is_a_notice() -> None:
    rollout = Rollout(Question("How often?"), TALK)
    rollout.receive(GroundingResult("c01"))
    rollout.receive(QUERY)
    observation = rollout.trace.rounds[0].observation
    assert isinstance(observation, SystemNotice)
    assert "no timeline tools" in observation.text


def test_query_is_free_within_a_budget() -> None:
    rollout = Rollout(Question("How often?"), TALK, RolloutSettings(timeline_tools=True, max_calls=3))
    rollout.receive(GroundingResult("c01"))
    rollout.receive(Reply(QUERY.text))
    assert isinstance(rollout.request, TimelineRequest)


def test_only_timeline_tools_offer_the_query() -> None:
    agents: frozenset[AgentName] = frozenset({"grounding", "vision"})
    plain = offered_actions(agents, "visual_query", "aX")
    with_tools = offered_actions(agents, "visual_query", "aX", has_timeline_tools=True)
    assert {line for line in with_tools if "visual_query" not in line} - set(plain) == {
        line for line in with_tools if line.startswith("<query_timeline>find WORDS")
    }
    tools = offered_tools(agents, "aX", has_timeline_tools=True)
    assert [tool.name for tool in tools][-1] == "query_timeline"


@pytest.mark.parametrize(
    ("fields", "knows"),
    [
        ({}, True),
        ({"style": "continuation"}, False),
        ({"look_tag": "search"}, False),
        ({"preset": "qwen3-4b-as-trained"}, False),
        ({"layout": {"prompt": "$question"}}, False),
    ],
)
def test_teams_that_know_timeline_tools(fields: dict[str, object], knows: bool, tmp_path: Path) -> None:
    path = tmp_path / "team.toml"
    path.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in fields.items() if name != "layout"))
    if "layout" in fields:
        path.write_text("[layout]\nprompt = '$question'\n")
    assert load_team_config(str(path)).knows_timeline_tools is knows


def test_model_master_reads_the_result(tmp_path: Path) -> None:
    path = tmp_path / "talk.mp4"
    write_video(path, range(0, 3_000, 500))
    path.with_suffix(".srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nMira: A lantern </information>\n")
    script = tmp_path / "script.json"
    script.write_text(json.dumps([QUERY.text, "<think>At 0:01.</think><answer>once</answer>"]))
    trace: Trace = ask(path, "How often?", team=TeamConfig(master=AgentConfig(model=f"scripted:{script}")))
    assert (trace.answer, trace.evidence[0].time_s) == ("once", 1.0)
    assert isinstance(trace.rounds[0].observation, TimelineResult)
    assert isinstance(trace.rounds[1].action, Answer)
