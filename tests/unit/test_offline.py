from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from longvideoagent.agents.build import load_team
from longvideoagent.agents.offline.grounding import locate
from longvideoagent.agents.offline.likelihood import distinctive_terms, option_likelihoods
from longvideoagent.agents.offline.master import OfflineMaster, decide
from longvideoagent.agents.offline.reading import EvidenceScorer, take_apart
from longvideoagent.agents.offline.terms import terms
from longvideoagent.agents.offline.vision import look, sample_times, times_in
from longvideoagent.core.actions import Answer, Look, Relocate
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.protocol import parse
from longvideoagent.core.rollout import GroundingRequest, Rollout, VisionRequest
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import Clip, Evidence, GroundingResult, Question, Reply, Subtitle, Timeline, VisionResult
from longvideoagent.datasets.longtvqa.read import read_longtvqa
from longvideoagent.datasets.synthetic.episode import generate_episode
from longvideoagent.media.cv import COLOURS, colour_shares, compare, count_faces
from longvideoagent.media.frames import Pixels
from longvideoagent.media.ocr import read_screen, read_video_text
from longvideoagent.media.readers.base import open_reader
from longvideoagent.media.readers.frame_folder import FrameFolderReader
from longvideoagent.models.cache import KeyValueCache
from tests.plugins.environment import SHARED
from tests.plugins.timelines import make_timeline


def ground(timeline: Timeline, question: Question, request: str = "", visited: tuple[str, ...] = ()) -> GroundingResult:
    rollout = Rollout(question, timeline)
    for label in visited:
        rollout.receive(GroundingResult(label))
        rollout.receive(Reply("<request_grounding></request_grounding>"))
    return locate(GroundingRequest(request, timeline, rollout.trace))


# --- grounding -----------------------------------------------------------------------------------

SCENES = make_timeline(
    ["Mira: Here we are at the bakery.", "Otto: Nice.", "Mira: Bring me the lantern."],
    ["Otto: Here we are at the museum.", "Lena: Late again.", "Otto: Bring me the rope."],
    ["Lena: The radio is broken.", "Hugo: Let us go home."],
)


def test_grounding_points_at_the_clip_that_matches() -> None:
    found = ground(SCENES, Question("What is asked for at the museum?"))
    assert found.label == "c02"
    assert any("museum" in each.text for each in found.evidence)


def test_the_options_help_to_ground() -> None:
    assert ground(SCENES, Question("What is it?", ("a broken radio", "a kite"))).label == "c03"


def test_the_masters_request_counts() -> None:
    question = Question("What is asked for?")
    assert ground(SCENES, question, "the radio", visited=("c02",)).label == "c03"


def test_grounding_never_returns_to_a_visited_clip() -> None:
    question = Question("What is asked for at the museum?")
    assert ground(SCENES, question, visited=("c02", "c01")).label == "c03"
    assert ground(SCENES, question, visited=("c01", "c02", "c03")).label is None


def test_without_a_match_clips_are_gone_through_in_order() -> None:
    assert ground(SCENES, Question("Zebra?")).label == "c01"
    assert ground(make_timeline([], []), Question("Zebra?"), visited=("c01",)).label == "c02"


@pytest.mark.parametrize(
    ("lines", "question"),
    [
        ((["今天天气很好"], ["我们去博物馆看画"], ["他在厨房做饭"]), "谁去了博物馆？"),
        ((["おはようございます"], ["図書館で本を読みます"], ["駅に行きます"]), "図書館で何をしますか"),
        ((["สวัสดีครับ"], ["เราจะไปพิพิธภัณฑ์"], ["เขาทำอาหารในครัว"]), "ใครไปพิพิธภัณฑ์"),
        ((["안녕하세요"], ["우리는 박물관에 갑니다"], ["그는 요리를 합니다"]), "누가 박물관에 갑니까"),
        ((["Guten Tag"], ["Wir gehen ins Museum"], ["Er kocht"]), "Wer geht ins Museum?"),
    ],
    ids=["chinese", "japanese", "thai", "korean", "german"],
)
def test_search_works_in_languages_with_and_without_spaces(lines: tuple[list[str], ...], question: str) -> None:
    assert ground(make_timeline(*lines), Question(question)).label == "c02"


@given(st.text(max_size=100))
def test_any_text_has_terms(text: str) -> None:
    assert all(terms(text))


def test_terms_fold_inflection_and_drop_stop_words() -> None:
    assert terms("The lanterns were broken") == terms("lantern broken")
    assert terms("Mira's KITE") == terms("mira kite")


# --- pictures ------------------------------------------------------------------------------------


def canvas(colour: tuple[int, int, int] = (200, 205, 210)) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (640, 360), colour)
    return image, ImageDraw.Draw(image)


def pixels(image: Image.Image) -> Pixels:
    return np.asarray(image, dtype=np.uint8)


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((0, 0, 0), "black"), ((255, 255, 255), "white"), ((128, 128, 128), "grey"), ((200, 30, 30), "red"),
        ((240, 140, 20), "orange"), ((250, 220, 40), "yellow"), ((40, 150, 60), "green"), ((40, 80, 205), "blue"),
        ((128, 40, 160), "purple"), ((250, 130, 180), "pink"), ((110, 70, 30), "brown"),
    ],
)  # fmt: skip
def test_colours_have_the_names_people_give_them(rgb: tuple[int, int, int], name: str) -> None:
    assert colour_shares(np.full((4, 4, 3), rgb, np.uint8)) == [(name, 1.0)]


@given(st.binary(min_size=48, max_size=48))
def test_every_pixel_has_a_colour(data: bytes) -> None:
    shares = colour_shares(np.frombuffer(data, np.uint8).reshape(4, 4, 3))
    assert {name for name, _ in shares} <= set(COLOURS)
    assert sum(share for _, share in shares) == pytest.approx(1.0)


def box_at(x: int) -> Pixels:
    image, draw = canvas()
    draw.rectangle((x, 200, x + 50, 250), fill=(40, 150, 60))
    return pixels(image)


def test_a_movement_has_a_colour_and_a_direction() -> None:
    (moved,) = compare(box_at(100), box_at(400)).movements
    assert moved.colour == "green"
    assert moved.to_x - moved.from_x == pytest.approx(300 / 640, abs=0.02)
    assert moved.to_y == pytest.approx(moved.from_y, abs=0.02)
    assert compare(box_at(100), box_at(100)).share == 0.0


def test_a_change_of_scene_is_no_movement() -> None:
    change = compare(box_at(100), 255 - box_at(400))
    assert change.is_scene_change
    assert change.movements == ()


def test_no_faces_on_an_empty_wall() -> None:
    assert count_faces(pixels(canvas()[0])) == 0


def film_of_signs(folder: Path, words: list[str]) -> FrameFolderReader:
    """One frame a second; each word stays for ten."""
    folder.mkdir()
    for number in range(10 * len(words)):
        image, draw = canvas()
        draw.rectangle((150, 120, 490, 220), fill=(200, 40, 40))
        draw.text((320, 170), words[number // 10], font=ImageFont.load_default(44), fill="white", anchor="mm")
        image.save(folder / f"{number + 1:05}.jpg", quality=90)
    return FrameFolderReader(folder, 1)


def test_text_on_screen_is_read() -> None:
    image, draw = canvas()
    draw.text((320, 170), "HARBOR", font=ImageFont.load_default(44), fill="black", anchor="mm")
    (piece,) = read_screen(pixels(image))
    assert piece.text == "HARBOR"
    assert piece.left < 0.5 < piece.right


def test_text_on_screen_becomes_lines_with_spans(tmp_path: Path) -> None:
    shares: list[float] = []
    lines = read_video_text(
        film_of_signs(tmp_path / "f", ["HARBOR", "CASTLE"]), lambda _, fraction: shares.append(fraction)
    )
    assert [(line.text, line.source) for line in lines] == [("HARBOR", "screen"), ("CASTLE", "screen")]
    assert lines[0].end_s == pytest.approx(10.0, abs=4.1)
    assert shares[-1] == 1.0


def test_vision_tells_what_it_sees_with_times(tmp_path: Path) -> None:
    video = film_of_signs(tmp_path / "f", ["HARBOR", "CASTLE"])
    seen = look(VisionRequest(Look("the sign"), (Clip("c01", 0.0, 20.0),)), video)
    signs = [each for each in seen.evidence if "“" in each.text]
    assert [each.text for each in signs] == [
        "text at the middle: “HARBOR” on red",
        "text at the middle: “CASTLE” on red",
    ]
    assert signs[0].end_s < 10.0 <= signs[1].time_s
    assert all(each.kind == "frame" and each.clip == "c01" for each in seen.evidence)
    assert "HARBOR" in seen.text


def test_vision_looks_past_a_broken_frame(tmp_path: Path) -> None:
    video = film_of_signs(tmp_path / "f", ["HARBOR"])
    (tmp_path / "f" / "00005.jpg").write_bytes(b"\xff\xd8 broken")
    assert "HARBOR" in look(VisionRequest(Look(""), (Clip("c01", 0.0, 10.0),)), video).text


def test_text_that_comes_and_goes_is_told_with_its_own_spans(tmp_path: Path) -> None:
    video = film_of_signs(tmp_path / "f", ["HARBOR", " ", "HARBOR"])
    seen = look(VisionRequest(Look("the sign"), (Clip("c01", 0.0, 30.0),)), video)
    first, second = [each for each in seen.evidence if "HARBOR" in each.text]
    assert first.end_s < 10.0
    assert second.start_s >= 20.0


def test_text_that_fades_in_slowly_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    for number in range(60):
        image, draw = canvas()
        level = 205 - 3 * number
        draw.text((320, 170), "HARBOR", font=ImageFont.load_default(60), fill=(level, level, level), anchor="mm")
        image.save(folder / f"{number + 1:05}.jpg", quality=95)
    assert "HARBOR" in look(VisionRequest(Look(""), (Clip("c01", 0.0, 60.0),)), FrameFolderReader(folder, 1)).text


def test_many_looks_at_once_agree_with_one_at_a_time(tmp_path: Path) -> None:
    videos = [film_of_signs(tmp_path / str(number), [word]) for number, word in enumerate(["HARBOR", "CASTLE"] * 2)]
    request = VisionRequest(Look(""), (Clip("c01", 0.0, 10.0),))
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda video: look(request, video).text, videos))
    assert together == [look(request, video).text for video in videos]


def test_a_broken_frame_does_not_stop_the_search_for_text(tmp_path: Path) -> None:
    video = film_of_signs(tmp_path / "f", ["HARBOR"])
    (tmp_path / "f" / "00001.jpg").write_bytes(b"\xff\xd8 broken")
    assert [line.text for line in read_video_text(video)] == ["HARBOR"]


def test_times_in_a_query() -> None:
    assert times_in("9" * 400 + ":00 " + "9" * 400 + " s") == []
    assert times_in("around 75 s, at 1:15 and at 1:02:03, after 3 cats") == [75.0, 75.0, 3723.0]


def test_a_named_time_is_looked_at_closely() -> None:
    clip = Clip("c02", 60.0, 120.0)
    plain = sample_times((clip,), [])
    close = sample_times((clip,), [75.0, 500.0])
    assert all(60.0 <= time_s < 120.0 for time_s in close)
    assert len([time_s for time_s in close if 70 <= time_s <= 80]) > len([t for t in plain if 70 <= t <= 80]) + 5


# --- the master ----------------------------------------------------------------------------------


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
def test_a_question_is_taken_apart_into_what_and_when(text: str, relation: str, clause: str) -> None:
    asked = take_apart(text)
    assert (asked.relation, asked.clause) == (relation, clause)


def seen_at(time_s: float, text: str) -> Evidence:
    return Evidence("c01", time_s, time_s + 5, "frame", time_s, text)


SIGNS = [seen_at(10, "text at the top: “OPEN”"), seen_at(30, "text at the top: “CLOSED”")]
CUE = Evidence("c01", 22.0, 24.0, "subtitle", 22.0, "Otto: The radio is broken.")


@pytest.mark.parametrize(("relation", "best"), [("before", 0), ("after", 1)])
def test_before_and_after_are_told_apart(relation: str, best: int) -> None:
    question = Question(f"What does the sign say {relation} Otto says that the radio is broken?", ("OPEN", "CLOSED"))
    supports = EvidenceScorer(question, [*SIGNS, CUE]).supports()
    assert supports[best].value > supports[1 - best].value
    assert supports[best].fact == SIGNS[best]


def test_misread_letters_still_match() -> None:
    facts = [seen_at(1, "text: “JOLLYSEAL”"), seen_at(2, "text: “Felx” above “KlTE”")]
    supports = EvidenceScorer(Question("Which?", ("JOLLY SEAL", "Felix", "KITE", "MOON")), facts).supports()
    assert [support.value > 0 for support in supports] == [True, True, True, False]


def test_a_whole_word_is_worth_more_than_a_part_of_one() -> None:
    supports = EvidenceScorer(Question("Which?", ("rain", "train")), [seen_at(1, "text: “TRAIN”")]).supports()
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
    """Lines of three seconds, so far apart."""
    starts_s = [number * (3.0 + pause_s) for number in range(len(lines))]
    return [
        Evidence.of_line(Clip("c01", 0.0, 60.0), Subtitle(at_s, at_s + 3.0, line))
        for at_s, line in zip(starts_s, lines, strict=True)
    ]


def likely(text: str, *options: str, lines: list[str] = TALK, pause_s: float = 0.0) -> list[float]:
    return option_likelihoods(Question(text, options), spoken(lines, pause_s), is_excerpt=False)


def test_an_option_is_likely_where_its_words_meet_the_questions() -> None:
    sold, keys, trees = likely("What does Lena hear after the soup is cold?", "He sold it", "The keys", "The trees")
    assert sold > 2 * max(keys, trees)
    assert sold + keys + trees == pytest.approx(1)


def test_every_place_that_supports_an_option_counts() -> None:
    said = ["Otto: A rope.", "Hugo: Yes.", "Lena: No.", "Mira: Well."]
    once, twice = likely("What?", "a kite", "a rope", lines=["Mira: A kite.", *said, "Lena: Fine.", *said])
    assert twice > once


def test_a_word_that_is_said_all_over_tells_little() -> None:
    lines = ["Mira: At the harbour are a rope and a boat.", *["Hugo: The boat again."] * 8]
    said_once, said_all_over = likely("What is at the harbour?", "a rope", "a boat", lines=lines)
    assert said_once > 1.5 * said_all_over


def test_what_all_options_share_tells_nothing_apart() -> None:
    bare = likely("What is cold?", "soup", "keys")
    assert likely("What is cold?", "Otto soup", "Otto keys") == pytest.approx(bare)


def test_lines_minutes_apart_are_of_different_moments() -> None:
    sold, keys = likely("What does Lena hear after the soup is cold?", "He sold it", "The keys", pause_s=120.0)
    assert sold == pytest.approx(keys, rel=0.3)
    asked = Question("What did Otto do about the soup?", ("sold it", "ate it"))
    said = ["Lena: The soup is cold.", "Otto: I sold it."]
    together, apart = (EvidenceScorer(asked, spoken(said, pause_s)).relevance[1] for pause_s in (0.0, 600.0))
    assert together > apart


@pytest.mark.shared
def test_the_length_of_an_option_is_no_evidence() -> None:
    """Offered the options of some other question, the team prefers neither long ones nor short ones."""
    data = read_longtvqa(SHARED / "data" / "longtvqa_plus")
    rng = random.Random(0)
    chosen: dict[Callable[..., int], list[float]] = {max: [], min: []}
    for sample in data.samples[::2]:
        options = rng.choice(data.samples).question.options
        question = replace(sample.question, options=options)
        lines = [Evidence.of_line(Clip("", 0.0, 60.0), line) for line in data.timeline(sample.video).subtitles]
        values = [support.value for support in EvidenceScorer(question, lines, is_excerpt=False).supports()]
        best = [index for index, value in enumerate(values) if value == max(values)]
        lengths = [len(wanted) for wanted in distinctive_terms(question)]
        for extreme, seen in chosen.items():
            of_it = [index for index, length in enumerate(lengths) if length == extreme(lengths)]
            hits = sum(index in of_it for index in best) / len(best)
            seen.append(hits - len(of_it) / len(lengths))  # against choosing at random
    assert abs(sum(chosen[max]) / len(chosen[max])) < 0.05
    assert abs(sum(chosen[min]) / len(chosen[min])) < 0.05


def test_nothing_said_of_any_option_leaves_all_equal_whatever_their_length() -> None:
    assert likely("What is cold?", "a very long and winding river", "snow") == [0.5, 0.5]


@given(st.lists(st.text(max_size=30), min_size=1, max_size=5), st.text(max_size=30), st.lists(st.text(max_size=30)))
def test_likelihoods_are_probabilities_of_any_text(options: list[str], text: str, lines: list[str]) -> None:
    for is_excerpt in (True, False):
        told = option_likelihoods(Question(text, tuple(options)), spoken(lines), is_excerpt)
        assert len(told) == len(options)
        assert sum(told) == pytest.approx(1)


def master_after(*facts: Evidence, question: Question, settings: RolloutSettings | None = None) -> Trace:
    rollout = Rollout(question, make_timeline(["Otto: The radio is broken."], ["Nothing here."]), settings)
    rollout.receive(GroundingResult("c01"))
    if facts:
        rollout.receive(Reply("<visual_query>x</visual_query>"))
        rollout.receive(VisionResult("seen", facts))
    return rollout.trace


def test_it_looks_when_something_visible_is_asked_for() -> None:
    reply = decide(master_after(question=Question("What does the sign say?", ("OPEN", "CLOSED"))))
    assert isinstance(parse(reply.text).action, Look)


def test_it_answers_at_once_when_lines_decide() -> None:
    reply = decide(master_after(question=Question("What is broken?", ("the radio", "the kite"))))
    assert parse(reply.text).action == Answer("a0")
    assert reply.evidence is not None
    assert reply.evidence[0].text == "Otto: The radio is broken."
    assert reply.confidence is not None
    assert reply.confidence > 0.5


def test_it_relocates_when_what_it_saw_does_not_decide() -> None:
    trace = master_after(SIGNS[0], question=Question("What does the sign say?", ("HARBOR", "CASTLE")))
    assert isinstance(parse(decide(trace).text).action, Relocate)


def test_it_answers_on_its_last_round_and_says_when_it_guesses() -> None:
    question = Question("What does the sign say?", ("HARBOR", "CASTLE", "WINDOW", "LADDER"))
    reply = decide(master_after(question=question, settings=RolloutSettings(max_rounds=1)))
    assert isinstance(parse(reply.text).action, Answer)
    assert reply.confidence == pytest.approx(0.25)
    assert "guess" in reply.text
    assert reply.evidence == ()


def test_a_guess_does_not_depend_on_the_order_of_the_options() -> None:
    def guessed(*options: str) -> str:
        trace = master_after(question=Question("Which?", options), settings=RolloutSettings(max_rounds=1))
        action = parse(decide(trace).text).action
        assert isinstance(action, Answer)
        return options[int(action.text[1:])]

    assert guessed("HARBOR", "CASTLE", "WINDOW") == guessed("WINDOW", "HARBOR", "CASTLE")


def test_option_length_is_no_evidence() -> None:
    long = "the kite that somebody left behind in the garden of the house by the sea last summer"
    reply = decide(master_after(question=Question("What is broken?", (long, "the radio"))))
    assert parse(reply.text).action == Answer("a1")


def test_an_open_question_is_answered_by_the_line_that_matches() -> None:
    reply = decide(master_after(question=Question("What is broken?")))
    assert parse(reply.text).action == Answer("“Otto: The radio is broken.” (0:15)")


def test_an_open_question_about_a_colour_is_answered_by_the_colour() -> None:
    facts = (seen_at(5, "text at the left: “Mira” on white above “KITE” on red"),)
    reply = decide(master_after(*facts, question=Question("What colour is Mira's shirt?")))
    assert parse(reply.text).action == Answer("red")


def test_it_abstains_when_nothing_matches() -> None:
    rollout = Rollout(Question("Where is the zebra?"), make_timeline([]), RolloutSettings(max_rounds=1))
    rollout.receive(GroundingResult("c01"))
    rollout.receive(asyncio.run(OfflineMaster().reply(rollout.trace)))
    assert rollout.trace.outcome is Outcome.ABSTAINED


@given(st.text(min_size=1, max_size=60), st.lists(st.text(min_size=1, max_size=20), max_size=6))
def test_it_always_says_something_the_protocol_understands(text: str, options: list[str]) -> None:
    trace = master_after(*SIGNS, question=Question(text, tuple(options)))
    assert isinstance(parse(decide(trace).text).action, Look | Relocate | Answer)


def test_what_was_seen_of_a_file_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    made = generate_episode(tmp_path, 3, 1, 1)
    video = open_reader(made.video)
    clip = Clip("c01", 0.0, 60.0)
    memory = KeyValueCache(tmp_path / "memory.sqlite")
    seen = look(VisionRequest(Look("a sign"), (clip,)), video, memory)

    class Blind:
        """A video whose frames nobody can fetch."""

        path = made.video

    assert look(VisionRequest(Look("a sign"), (clip,)), Blind(), memory) == seen  # type: ignore[arg-type]
    assert look(VisionRequest(Look("nothing of it"), (clip,)), Blind(), memory).is_found is False  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        look(VisionRequest(Look("at 0:30"), (clip,)), Blind(), memory)  # type: ignore[arg-type]
    os.utime(made.video, ns=(1, 1))
    with pytest.raises(AttributeError):
        look(VisionRequest(Look("a sign"), (clip,)), Blind(), memory)  # type: ignore[arg-type]
    memory.close()


def test_a_memory_that_cannot_be_opened_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "c.sqlite").write_bytes(b"not a database at all, but long enough to look at" * 9)
    assert load_team(cache_file=tmp_path / "c.sqlite").memory is None
