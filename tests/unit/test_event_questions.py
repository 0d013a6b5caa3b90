"""Questions for sounds and objects, answered offline from what detectors found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from longvideoagent.agents.offline.event_questions import clip_labels, event_question, events_near
from longvideoagent.agents.offline.evidence_scorer import EvidenceScorer
from longvideoagent.agents.offline.grounding import locate
from longvideoagent.agents.offline.master import decide
from longvideoagent.core.rollout import GroundingRequest, MasterRequest, Rollout, TimelineRequest
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.trace import Agents, RolloutSettings
from longvideoagent.core.types import Clip, Evidence, Question, Reply, Subtitle, Timeline
from longvideoagent.index.query import query_timeline
from tests.plugins.timelines import make_timeline

TOOLS = RolloutSettings(timeline_tools=True, agents=Agents.GROUNDING)


def sound(start_s: float, end_s: float, label: str) -> Evidence:
    clip = f"c{int(start_s // 60) + 1:02}"
    return Evidence(clip, start_s, end_s, "sound", start_s, f"heard: {label}", label=label)


def seen(start_s: float, end_s: float, label: str, num_at_once: int = 1) -> Evidence:
    clip, text = f"c{int(start_s // 60) + 1:02}", f"seems to show: {label}"
    return Evidence(clip, start_s, end_s, "frame", start_s, text, label=label, num_at_once=num_at_once)


SOUNDS = (
    sound(0, 100, "Music"),
    sound(70, 71, "Dog"),
    sound(95, 98, "Explosion"),
    sound(110, 112, "Laughter"),
)
OBJECTS = (seen(5, 40, "person", 3), seen(65, 80, "dog"), seen(130, 170, "person"))
LINES = make_timeline(
    ("Mira: The harbour is quiet today.", "Otto: Then we wait for the boat."),
    ("Mira: Look at that animal.", "Otto: Stand back, this is dangerous."),
    ("Mira: Was that the last one?", "Otto: I hope it was."),
)
FILM = replace(LINES, sounds=SOUNDS, objects=OBJECTS)


def offline_reply(question: str, *options: str, film: Timeline = FILM) -> tuple[Reply, list[str]]:
    """The answer of the offline master with its grounding, and its queries on the way."""
    rollout = Rollout(Question(question, options), film, replace(TOOLS, max_rounds=4))
    queries: list[str] = []
    while True:
        match rollout.request:
            case GroundingRequest() as request:
                rollout.receive(locate(request))
            case TimelineRequest(query=query):
                queries.append(query)
                rollout.receive(query_timeline(query, film))
            case MasterRequest():
                reply = decide(rollout.trace)
                if "<answer>" in reply.text:
                    return reply, queries
                rollout.receive(reply)
            case request:
                pytest.fail(f"unexpected {request}")


@pytest.mark.parametrize(
    ("question", "answer", "time_s"),
    [
        ("When does the explosion happen?", "from 1:35 to 1:38", 95),
        ("When is the explosion?", "from 1:35 to 1:38", 95),
        ("When can you hear laughter?", "from 1:50 to 1:52", 110),
        ("When do people laugh", "from 1:50 to 1:52", 110),
        ("Is there any music in the video?", "Yes, it seems: Music (0:00 to 1:40)", 0),
        ("Does anybody laugh in the film?", "Yes, it seems: Laughter (1:50 to 1:52)", 110),
        ("Are people laughing?", "Yes, it seems: Laughter (1:50 to 1:52)", 110),
        ("When does a person first appear?", "at 0:05", 5),
        ("When can you see people for the last time?", "at 2:10", 130),
        ("How long does the music play?", "1:40 in all, it seems: Music (0:00 to 1:40)", 0),
        ("For how long are people visible?", "1:15 in all, it seems: person (0:05 to 0:40, 2:10 to 2:50)", 5),
        ("How often does an explosion happen?", "once, it seems: Explosion (1:35 to 1:38)", 95),
        ("How many times can people be seen?", "2 times, it seems: person (0:05 to 0:40, 2:10 to 2:50)", 5),
        ("Can you hear a dog?", "Yes, it seems: Dog (1:10 to 1:11)", 70),
        ("Can you see a dog?", "Yes, it seems: dog (1:05 to 1:20)", 65),
        ("When does a puppy appear?", "from 1:05 to 1:20", 65),
        ("How many people are there?", "at least 3 at once, it seems: person (0:05 to 0:40, 2:10 to 2:50)", 5),
        ("What sounds can be heard?", "Music, Explosion, Laughter, Dog", 0),
        ("What do you hear at 1:36?", "Music, Explosion", 0),
        ("Which objects are visible at 1:10?", "dog", 65),
    ],
)
def test_open_answer(question: str, answer: str, time_s: float) -> None:
    reply, queries = offline_reply(question)
    assert f"<answer>{answer}</answer>" in reply.text
    assert len(queries) == 1
    assert reply.evidence is not None
    assert reply.evidence[0].time_s == time_s
    assert reply.confidence is not None
    assert reply.confidence <= 0.5  # detectors err


KNOWN = replace(FILM, sound_labels=("Music", "Dog", "Thunder", "Cat"), object_labels=("person", "dog", "cat", "bird"))


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is there any thunder?", "No, it seems: Thunder is not heard (0:00 to 3:00)"),
        ("Can you hear a cat?", "No, it seems: Cat is not heard (0:00 to 3:00)"),
        ("Can you see a cat?", "No, it seems: cat is not seen (0:00 to 3:00)"),
        ("Is there a kitten in the video?", "No, it seems: cat is not seen (0:00 to 3:00)"),
    ],
)
def test_nothing_was_found_of_what_a_detector_knows(question: str, answer: str) -> None:
    reply, queries = offline_reply(question, film=KNOWN)
    assert f"<answer>{answer}</answer>" in reply.text
    assert len(queries) == 1
    assert reply.confidence is not None
    assert reply.confidence < 0.4  # detectors overlook much
    reply, _ = offline_reply(question, "Yes", "No", film=KNOWN)
    assert "<answer>a1</answer>" in reply.text


@pytest.mark.parametrize(
    "question",
    [
        "Is there an animal other than cats?",
        "Is there a bear?",  # no detector here knows one
        "Is there a red bird?",  # nor colours
        "Is there a cat when the bomb goes off?",
        "Is there a boat?",  # a line has the word
        "When does the cat appear?",
        "How many birds are there?",
        "Which is louder, thunder or the cat?",
        "Is there no thunder?",
        "Is there any silence?",
        "Is there a long shot?",
        "Is there a talk on birds?",
        "Is anyone talking?",  # lines are spoken
        "Is there any speech?",
    ],
)
def test_absence_answers_no_other_question(question: str) -> None:
    heard = (*KNOWN.sound_labels, "Silence", "Gunshot, gunfire", "Speech")
    film = replace(KNOWN, sound_labels=heard, object_labels=("cat", "bird", "boat"))
    reply, _ = offline_reply(question, film=film)
    assert "No, it seems" not in reply.text


def test_absence_supports_no_option() -> None:
    film = replace(KNOWN, clips=make_timeline((), (), ()).clips)
    located = locate(GroundingRequest("", film, Rollout(Question("Is there thunder?"), film, TOOLS).trace))
    assert [(each.label, each.num_at_once) for each in located.evidence if not each.num_at_once] == [("Thunder", 0)]
    reply, _ = offline_reply("Is there thunder?", "Thunder", "Rain", film=film)
    assert not reply.evidence
    assert reply.confidence == 0.5


NOTHING = replace(KNOWN, sounds=(), objects=())
SILENT = replace(NOTHING, clips=make_timeline((), (), ()).clips)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What can be heard?", "none of the 4 sounds that the detector knows"),
        ("What sounds are there?", "none of the 4 sounds that the detector knows"),
        ("Which objects are visible?", "none of the 4 objects that the detector knows"),
    ],
)
def test_answer_where_nothing_was_detected(question: str, answer: str) -> None:
    reply, queries = offline_reply(question, film=SILENT)
    assert f"<answer>{answer}</answer>" in reply.text
    assert len(queries) == 1
    assert reply.confidence == 0.35
    assert reply.evidence is not None
    assert [(each.start_s, each.end_s, each.num_at_once) for each in reply.evidence] == [(0.0, 180.0, 0)]
    chosen, _ = offline_reply(question, "Music", "Dog", film=SILENT)
    assert chosen.confidence == 0.5
    assert not chosen.evidence
    assert "<answer>a1</answer>" in offline_reply(question, "Music", "None", film=SILENT)[0].text


@pytest.mark.parametrize(
    "film",
    # Nobody listened; something was found; it is not known what was searched; lines are spoken.
    [LINES, FILM, replace(SILENT, sound_labels=()), NOTHING],
)
def test_nothing_detected_is_said_only_if_it_was_searched(film: Timeline) -> None:
    assert "none of the" not in offline_reply("What can be heard?", film=film)[0].text


def test_line_at_a_time_where_no_sound_was_detected() -> None:
    time_s = NOTHING.subtitles[2].start_s
    reply, _ = offline_reply(f"What can be heard at {format_timestamp(time_s)}?", film=NOTHING)
    assert "Mira: Look at that animal." in reply.text


def test_query_where_nothing_was_detected() -> None:
    result = query_timeline("sounds", NOTHING)
    assert (result.text, result.value, result.is_found) == ("no sound was detected in the video", "none", False)


@pytest.mark.parametrize(
    ("question", "options", "chosen"),
    [
        ("How many people can you see?", ("one", "two", "three"), "a2"),
        ("When is the explosion heard?", ("at 0:20", "at 1:36", "at 2:40"), "a1"),
        ("Is there a dog?", ("Yes", "No"), "a0"),
    ],
)
def test_options(question: str, options: tuple[str, ...], chosen: str) -> None:
    assert f"<answer>{chosen}</answer>" in offline_reply(question, *options)[0].text


def test_options_about_more_labels_than_are_listed() -> None:
    objects = tuple(seen(0, 100 - number, f"thing {number}") for number in range(50))
    reply, _ = offline_reply("Which objects are visible?", "thing 60", "thing 45", film=replace(LINES, objects=objects))
    assert "<answer>a1</answer>" in reply.text
    assert reply.confidence == 0.4


def test_option_that_only_a_detector_supports_is_not_sure() -> None:
    reply, _ = offline_reply("Which animal does Mira look at?", "dog", "horse", "parrot")
    assert "<answer>a0</answer>" in reply.text
    assert reply.confidence == 0.5


def test_open_answer_that_only_a_detector_supports_is_not_sure() -> None:
    reply, _ = offline_reply("What about the explosion?")
    assert "heard: Explosion" in reply.text
    assert reply.confidence == 0.5


@pytest.mark.parametrize(
    "question",
    [
        "Is there a unicorn?",
        "When does the harbour appear?",
        "When is the dog heard after Mira speaks?",
        "How many people does Otto know?",
        "What does Otto say about the dog?",
        "Who hears the explosion?",
        "Is the dog first?",
        "Does Mira laugh?",
        "When does Mira laugh?",
        "What sound does the dog make?",
        "What sounds does Mira hear before the explosion?",
        "Which objects does Otto carry?",
        "What objects are on the table?",
        "When was the dog born?",
        "When does the music stop?",
        "When did people land on the moon?",
        "Can you see a black dog?",
        f"Is there a dog{' in the video' * 1000}?",
        "",
    ],
)
def test_questions_that_events_do_not_answer(question: str) -> None:
    assert event_question(question, [*SOUNDS, *OBJECTS]) is None


@pytest.mark.parametrize(
    ("question", "query"),
    [
        ("Is there a dog barking?", "objects dog barking"),
        ("When can you hear a loud explosion?", "sounds loud explosion"),
        ("When is a hot dog shown?", "objects hot dog"),
        ("Is there an orange?", "objects orange"),
        ("What kinds of sounds occur?", "sounds"),
        ("Which objects can you see at 0:07?", "objects 0:07"),
    ],
)
def test_query_of_question(question: str, query: str) -> None:
    known = [*SOUNDS, *OBJECTS, seen(0, 1, "hot dog"), seen(0, 1, "orange")]
    found = event_question(question, known)
    assert found is not None
    assert found.query == query


@pytest.mark.parametrize("question", ["What does Mira show us?", "What did Otto hear?", "Who seems sad?"])
def test_words_around_labels_match_nothing(question: str) -> None:
    look = seen(0, 1, "cat, dog (2 at once)")
    assert not any(EvidenceScorer(Question(question), [*SOUNDS, *OBJECTS, look]).matches)
    assert any(EvidenceScorer(Question("What do dogs like?"), [look]).matches)


def test_long_question_about_thousands_of_labels() -> None:
    """It is read once, and not for each of them."""
    film = replace(FILM, sounds=tuple(sound(n % 170, n % 170 + 1, f"noise{n}, tone{n}") for n in range(5000)))
    question = f"What {' '.join(f'word{n}' for n in range(1000))} tone4711?"
    named = [each for each in events_near(film, question, film.clips[0]) if each.text == "heard: noise4711, tone4711"]
    assert named


def test_moment_is_at_a_time_and_a_span_from_one() -> None:
    moment, span = sound(20, 20.5, "Telephone"), sound(25, 30, "Telephone")
    for sounds, answer in (((moment, span), "at 0:20, 0:25 to 0:30"), ((span,), "from 0:25 to 0:30")):
        reply, _ = offline_reply("When is the telephone heard?", film=replace(LINES, sounds=sounds))
        assert f"<answer>{answer}</answer>" in reply.text


def test_video_without_detectors_is_answered_as_before() -> None:
    assert offline_reply("When does the explosion happen?", film=LINES)[1] == []
    assert event_question("Can you hear a dog?", []) is None


def test_grounding_finds_the_clip_of_a_sound() -> None:
    rollout = Rollout(Question("What is said around the explosion?"), FILM, TOOLS)
    assert isinstance(rollout.request, GroundingRequest)
    located = locate(rollout.request)
    assert (located.label, located.reason) == ("c02", "matches explosion")
    assert SOUNDS[2] in located.evidence
    silent = Rollout(Question("What is said around the explosion?"), LINES, TOOLS)
    assert isinstance(silent.request, GroundingRequest)
    assert locate(silent.request).evidence == ()


def test_lines_of_one_screen_are_quoted_together() -> None:
    lines = [Subtitle(20, 24, "NORTH HARBOUR FILMS", "screen"), Subtitle(20, 24, "PRESENTS", "screen")]
    titles = Timeline((Clip("c01", 0, 60, (*lines, Subtitle(30, 34, "A KITE STORY", "screen"))),))
    reply, _ = offline_reply("Who presents the film?", film=titles)
    assert "<answer>NORTH HARBOUR FILMS (0:20); PRESENTS (0:20)</answer>" in reply.text


@pytest.mark.parametrize("question", ["What is said in the video?", "What does she say?"])
def test_what_is_said_is_not_in_sounds(question: str) -> None:
    silent = replace(make_timeline((), ()), sounds=SOUNDS[:1])
    reply, _ = offline_reply(question, film=silent)
    assert "<answer></answer>" in reply.text


def test_event_that_ends_with_a_clip_is_not_in_the_next() -> None:
    """An object's span ends at the first frame without it, which often begins a clip."""
    objects = (seen(20, 60, "dog"), seen(60, 60, "cat"), seen(100, 130, "person"))
    assert clip_labels(replace(LINES, objects=objects)) == [["dog"], ["cat", "person"], ["person"]]
