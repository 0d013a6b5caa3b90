from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.agents.offline.evidence_scorer import EvidenceScorer
from longvideoagent.agents.offline.likelihood import distinctive_terms, option_likelihoods
from longvideoagent.agents.offline.master import OfflineMaster, decide
from longvideoagent.agents.offline.option_reader import read_options
from longvideoagent.agents.offline.parsed_question import parse_question
from longvideoagent.core.actions import Answer, Look, Relocate
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.protocol import parse
from longvideoagent.core.rollout import Rollout
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import Clip, Evidence, GroundingResult, Question, Reply, Subtitle, VisionResult
from longvideoagent.datasets.longtvqa.read import read_longtvqa
from tests.plugins.environment import SHARED
from tests.plugins.timelines import make_timeline


@pytest.mark.parametrize(
    ("text", "relation", "clause"),
    [
        (
            "What does the sign say after Otto says that the radio is broken?",
            "after",
            "Otto says that the radio is broken",
        ),
        ("What word is worn by the person who says that it rains?", "when", "that it rains"),
        ("Where is Mira when Otto comes in?", "when", "Otto comes in"),
        ("Before the bell rings, what falls?", "before", "the bell rings"),
        ("At the bakery, who is late?", "during", "the bakery"),
        ("What colour is the kite?", "", ""),
    ],
)
def test_parse_question(text: str, relation: str, clause: str) -> None:
    parsed = parse_question(text)
    assert (parsed.relation, parsed.clause) == (relation, clause)


def detection(time_s: float, text: str) -> Evidence:
    return Evidence("c01", time_s, time_s + 5, "frame", time_s, text)


SIGNS = [detection(10, "text at the top: “OPEN”"), detection(30, "text at the top: “CLOSED”")]
CUE = Evidence("c01", 22.0, 24.0, "subtitle", 22.0, "Otto: The radio is broken.")


@pytest.mark.parametrize(("relation", "best"), [("before", 0), ("after", 1)])
def test_scorer_before_and_after(relation: str, best: int) -> None:
    question = Question(f"What does the sign say {relation} Otto says that the radio is broken?", ("OPEN", "CLOSED"))
    supports = EvidenceScorer(question, [*SIGNS, CUE]).supports
    assert supports[best].value > supports[1 - best].value
    assert supports[best].fact == SIGNS[best]


def test_scorer_misread_letters() -> None:
    facts = [detection(1, "text: “JOLLYSEAL”"), detection(2, "text: “Felx” above “KlTE”")]
    supports = EvidenceScorer(Question("Which?", ("JOLLY SEAL", "Felix", "KITE", "MOON")), facts).supports
    assert [support.value > 0 for support in supports] == [True, True, True, False]


def test_scorer_whole_word_above_part() -> None:
    supports = EvidenceScorer(Question("Which?", ("rain", "train")), [detection(1, "text: “TRAIN”")]).supports
    assert supports[1].value > supports[0].value


TALK = [
    "Lena: The soup is cold.",
    "Otto: I sold the boat.",
    "Lena: You did not!",
    *[f"Hugo: The trees are green, number {number}." for number in range(8)],
    "Mira: I lost the keys of the boat.",
    "Otto: Then the keys are with Hugo.",
    "Mira: With Hugo and his keys.",
]


def spoken(lines: Sequence[str], pause_s: float = 0.0) -> list[Evidence]:
    """Lines of three seconds, ``pause_s`` apart."""
    starts_s = [number * (3.0 + pause_s) for number in range(len(lines))]
    return [
        Evidence.from_subtitle(Clip("c01", 0.0, 60.0), Subtitle(at_s, at_s + 3.0, line))
        for at_s, line in zip(starts_s, lines, strict=True)
    ]


def likelihoods(text: str, *options: str, lines: list[str] = TALK, pause_s: float = 0.0) -> list[float]:
    return option_likelihoods(Question(text, options), spoken(lines, pause_s), is_excerpt=False)


def test_likelihood_option_near_question() -> None:
    sold, keys, trees = likelihoods(
        "What does Lena learn after the soup is cold?", "He sold it", "The keys", "The trees"
    )
    assert sold > 2 * max(keys, trees)
    assert sold + keys + trees == pytest.approx(1)


def test_likelihood_sums_over_places() -> None:
    other_lines = ["Otto: A rope.", "Hugo: Yes.", "Lena: No.", "Mira: Well."]
    once, twice = likelihoods(
        "What?", "a kite", "a rope", lines=["Mira: A kite.", *other_lines, "Lena: Fine.", *other_lines]
    )
    assert twice > once


def test_likelihood_common_word() -> None:
    lines = ["Mira: At the harbour are a rope and a boat.", *["Hugo: The boat again."] * 8]
    rare, common = likelihoods("What is at the harbour?", "a rope", "a boat", lines=lines)
    assert rare > 1.5 * common


def test_likelihood_shared_terms() -> None:
    bare = likelihoods("What is cold?", "soup", "keys")
    assert likelihoods("What is cold?", "Otto soup", "Otto keys") == pytest.approx(bare)


def test_likelihood_distant_lines() -> None:
    sold, keys = likelihoods("What does Lena learn after the soup is cold?", "He sold it", "The keys", pause_s=120.0)
    assert sold == pytest.approx(keys, rel=0.3)
    question = Question("What did Otto do about the soup?", ("sold it", "ate it"))
    lines = ["Lena: The soup is cold.", "Otto: I sold it."]
    together, apart = (EvidenceScorer(question, spoken(lines, pause_s)).relevance[1] for pause_s in (0.0, 600.0))
    assert together > apart


@pytest.mark.slow
@pytest.mark.shared
def test_option_length_on_longtvqa() -> None:
    """With the options of another question, the scorer prefers neither long ones nor short ones."""
    data = read_longtvqa(SHARED / "data" / "longtvqa_plus")
    rng = random.Random(0)
    chosen: dict[Callable[..., int], list[float]] = {max: [], min: []}
    for sample in data.samples[::2]:
        options = rng.choice(data.samples).question.options
        question = replace(sample.question, options=options)
        lines = [Evidence.from_subtitle(Clip("", 0.0, 60.0), line) for line in data.timeline(sample.video).subtitles]
        values = [reading.probability for reading in read_options(EvidenceScorer(question, lines, is_excerpt=False))]
        best = [index for index, value in enumerate(values) if value == max(values)]
        lengths = [len(wanted) for wanted in distinctive_terms(question)]
        for extreme, differences in chosen.items():
            of_it = [index for index, length in enumerate(lengths) if length == extreme(lengths)]
            hits = sum(index in of_it for index in best) / len(best)
            differences.append(hits - len(of_it) / len(lengths))  # against choosing at random
    assert abs(sum(chosen[max]) / len(chosen[max])) < 0.05
    assert abs(sum(chosen[min]) / len(chosen[min])) < 0.05


def test_likelihood_no_option_spoken() -> None:
    assert likelihoods("What is cold?", "a very long and winding river", "snow") == [0.5, 0.5]


@given(st.lists(st.text(max_size=30), min_size=1, max_size=5), st.text(max_size=30), st.lists(st.text(max_size=30)))
def test_likelihood_any_text(options: list[str], text: str, lines: list[str]) -> None:
    for is_excerpt in (True, False):
        result = option_likelihoods(Question(text, tuple(options)), spoken(lines), is_excerpt)
        assert len(result) == len(options)
        assert sum(result) == pytest.approx(1)


def trace_after(*facts: Evidence, question: Question, settings: RolloutSettings | None = None) -> Trace:
    rollout = Rollout(question, make_timeline(["Otto: The radio is broken."], ["Nothing here."]), settings)
    rollout.receive(GroundingResult("c01"))
    if facts:
        rollout.receive(Reply("<visual_query>x</visual_query>"))
        rollout.receive(VisionResult("text", facts))
    return rollout.trace


def test_master_looks_for_visible_thing() -> None:
    reply = decide(trace_after(question=Question("What does the sign say?", ("OPEN", "CLOSED"))))
    assert isinstance(parse(reply.text).action, Look)


def test_master_answers_from_lines() -> None:
    reply = decide(trace_after(question=Question("What is broken?", ("the radio", "the kite"))))
    assert parse(reply.text).action == Answer("a0")
    assert reply.evidence is not None
    assert reply.evidence[0].text == "Otto: The radio is broken."
    assert reply.confidence is not None
    assert reply.confidence > 0.5


def test_master_relocates_when_undecided() -> None:
    trace = trace_after(SIGNS[0], question=Question("What does the sign say?", ("HARBOR", "CASTLE")))
    assert isinstance(parse(decide(trace).text).action, Relocate)


def test_master_guess_on_last_round() -> None:
    question = Question("What does the sign say?", ("HARBOR", "CASTLE", "WINDOW", "LADDER"))
    reply = decide(trace_after(question=question, settings=RolloutSettings(max_rounds=1)))
    assert isinstance(parse(reply.text).action, Answer)
    assert reply.confidence == pytest.approx(0.25)
    assert "guess" in reply.text
    assert reply.evidence == ()


def test_master_guess_ignores_option_order() -> None:
    def guess(*options: str) -> str:
        trace = trace_after(question=Question("Which?", options), settings=RolloutSettings(max_rounds=1))
        action = parse(decide(trace).text).action
        assert isinstance(action, Answer)
        return options[int(action.text[1:])]

    assert guess("HARBOR", "CASTLE", "WINDOW") == guess("WINDOW", "HARBOR", "CASTLE")


def test_master_ignores_option_length() -> None:
    long = "the kite that somebody left behind in the garden of the house by the sea last summer"
    reply = decide(trace_after(question=Question("What is broken?", (long, "the radio"))))
    assert parse(reply.text).action == Answer("a1")


def test_master_open_question_line() -> None:
    reply = decide(trace_after(question=Question("What is broken?")))
    assert parse(reply.text).action == Answer("“Otto: The radio is broken.” (0:15)")


def test_master_open_question_colour() -> None:
    facts = (detection(5, "text at the left: “Mira” on white above “KITE” on red"),)
    reply = decide(trace_after(*facts, question=Question("What colour is Mira's shirt?")))
    assert parse(reply.text).action == Answer("red")


def answer_to(question: str, line: str, *options: str) -> Reply:
    """The answer to a question about a video of one line, after which no agent can be asked."""
    rollout = Rollout(Question(question, options), make_timeline([line]), RolloutSettings(max_rounds=1))
    rollout.receive(GroundingResult("c01"))
    return decide(rollout.trace)


@pytest.mark.parametrize(
    ("question", "line"),
    [
        ("Who says the kettle is empty?", "The kettle is empty."),  # nobody is named
        ("Where is the kettle?", "A kettle!"),
        ("What about the kettle?", "The kettle."),
        ("Why is the kettle empty?", "Mira: The kettle is empty again."),
    ],
)
def test_master_open_question_line_that_leaves_out_what_is_asked(question: str, line: str) -> None:
    reply = answer_to(question, line)
    assert line.rstrip(".") in reply.text
    assert reply.confidence is not None
    assert reply.confidence <= 0.4


@pytest.mark.parametrize(
    ("question", "line"),
    [
        ("Who says the kettle is empty?", "Mira: The kettle is empty."),
        ("Where is the kettle?", "The kettle is on the roof."),
        ("When is the kettle empty?", "The kettle is empty."),
        ("Is the kettle empty?", "The kettle is empty."),
        ("Who uses the kettle?", "Otto uses the kettle every morning."),
        ("Was the kettle empty?", "The kettle was empty."),
        ("What time is the kettle empty?", "The kettle is empty."),
        ("Must Otto use the kettle?", "Otto must use the kettle."),
        ("Why is the kettle empty?", "We drank all the tea, so the kettle is empty."),
        ("Why is the kettle empty?", "The kettle is empty because Otto drank the tea."),
        ("Pourquoi la bouilloire est vide ?", "La bouilloire est vide parce que nous avons bu."),
    ],
)
def test_master_open_question_line_with_what_is_asked(question: str, line: str) -> None:
    reply = answer_to(question, line)
    assert reply.confidence is not None
    assert reply.confidence > 0.5


@pytest.mark.parametrize("options", [("Yes", "No"), ("ja", "nein"), ("oui.", "non."), ("sí", "no")])
def test_master_yes_and_no_are_not_looked_for_in_lines(options: tuple[str, str]) -> None:
    """People say yes and no to anything, and "nein" shares letters with "allein"."""
    reply = answer_to("Is the journey dangerous?", "No, no. Oui, non, ja, nein: so ganz allein.", *options)
    assert reply.confidence == 0.5
    assert reply.evidence == ()


def test_master_abstains() -> None:
    rollout = Rollout(Question("Where is the zebra?"), make_timeline([]), RolloutSettings(max_rounds=1))
    rollout.receive(GroundingResult("c01"))
    rollout.receive(asyncio.run(OfflineMaster().reply(rollout.trace)))
    assert rollout.trace.outcome is Outcome.ABSTAINED


@given(st.text(min_size=1, max_size=60), st.lists(st.text(min_size=1, max_size=20), max_size=6))
def test_master_reply_always_parses(text: str, options: list[str]) -> None:
    trace = trace_after(*SIGNS, question=Question(text, tuple(options)))
    assert isinstance(parse(decide(trace).text).action, Look | Relocate | Answer)
