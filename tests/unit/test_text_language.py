"""The language of a text: how it is found, and that words are searched by its rules everywhere."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent import RolloutSettings, answer, load_team, open_video
from longvideoagent.agents.offline.grounding import locate
from longvideoagent.core.rollout import GroundingRequest
from longvideoagent.core.trace import Agents, Trace
from longvideoagent.core.types import Evidence, Question, Subtitle, Timeline
from longvideoagent.index import schema
from longvideoagent.index.chapters import find_chapters
from longvideoagent.index.lines import occurrences
from longvideoagent.index.search import search_lines
from longvideoagent.index.stored_text import (
    StepCost,
    StoredText,
    TextKind,
    read_summaries,
    read_text,
    write_text,
)
from longvideoagent.index.terms import terms
from longvideoagent.index.video_index import VideoIndex
from longvideoagent.media.text_language import LANGUAGES, MAX_LINES, detect_language
from longvideoagent.media.timeline import build_timeline
from longvideoagent.server import timeline_response
from longvideoagent.views.trace_dict import trace_from_dict, trace_to_dict
from tests.plugins.cli import lva

COST = StepCost("subtitles", "talk.srt", 0.1)

TEXTS = {
    "de": (
        "Das Haus liegt am See.",
        "Wir haben gestern die Äpfel gepflückt.",
        "Was hast du mit dem Geld gemacht?",
        "Ich weiß es nicht, aber sie kommt bald zurück.",
        "Der Hund schläft unter dem Tisch.",
    ),
    "fr": (
        "La maison se trouve près du lac.",
        "Nous avons acheté les chevaux de l’oncle.",
        "Qu’est-ce que tu as fait avec cet argent ?",
        "Je ne sais pas, mais elle va revenir dans la soirée.",
        "Le chien dort sous la table de la cuisine.",
    ),
    "es": (
        "La casa está junto al lago.",
        "Ayer recogimos las manzanas con mi hermano.",
        "¿Qué has hecho con el dinero?",
        "No lo sé, pero ella vuelve en una hora.",
        "El perro duerme debajo de la mesa.",
    ),
    "it": (
        "La casa si trova vicino al lago.",
        "Ieri abbiamo raccolto le mele con lo zio.",
        "Che cosa hai fatto con i soldi dell’amico?",
        "Non lo so, ma lei torna tra un’ora.",
        "Il cane dorme sotto il tavolo della cucina.",
    ),
    "pt": (
        "A casa fica ao lado do lago.",
        "Ontem colhemos as maçãs com o meu irmão.",
        "O que você fez com o dinheiro?",
        "Não sei, mas ela volta em uma hora.",
        "O cachorro dorme embaixo da mesa da cozinha.",
    ),
    "nl": (
        "Het huis staat aan het meer.",
        "Gisteren hebben we de appels van de boom geplukt.",
        "Wat heb je met het geld gedaan?",
        "Ik weet het niet, maar ze komt over een uur terug.",
        "De hond slaapt onder de tafel in de keuken.",
    ),
    "ru": (
        "Дом стоит на берегу озера.",
        "Вчера мы с братом собрали все яблоки.",
        "Что ты сделал с этими деньгами?",
        "Я не знаю, но она скоро вернётся к нам.",
        "Собака спит под столом на кухне.",
    ),
    "sv": (
        "Huset ligger vid en sjö som är djup.",
        "Vi plockade alla äpplen med min bror.",
        "Vad har du gjort med pengarna?",
        "Jag vet inte, men hon kommer till oss om en timme.",
        "Hunden sover under bordet som står i köket.",
    ),
    "da": (
        "Huset ligger ved en sø, som er dyb.",
        "Vi plukkede æbler sammen med min bror.",
        "Hvad har du gjort af med pengene?",
        "Jeg ved det ikke, men hun kommer nok hjem efter noget tid.",
        "Hunden sover under bordet, når der er mad i køkkenet.",
    ),
    "no": (
        "Huset ligger ved et vann som er dypt.",
        "Vi plukket epler sammen med broren min.",
        "Hva har du gjort med pengene mine?",
        "Jeg vet ikke, men hun kommer hjem etter noen timer.",
        "Hunden sover under bordet når det blir mørkt.",
    ),
    "tr": (
        "Ev gölün hemen yanında, ama çok eski.",
        "Dün ben ve kardeşim elmaları topladık.",
        "Sen bu parayla ne yaptın?",
        "Bilmiyorum, çünkü o daha gelmedi.",
        "Köpek her gün masanın altında uyuyor gibi.",
        "İstanbul’da hava nasıl, çok mu soğuk?",
    ),
    "en": (
        "The house is next to the lake.",
        "We picked the apples with my brother yesterday.",
        "What have you done with the money?",
        "I don’t know, but she is coming back in an hour.",
        "The dog sleeps under the table.",
    ),
}  # fmt: skip

INFLECTED = [
    ("de", "Wo sind die Häuser?", 0),
    ("de", "Apfel", 1),
    ("de", "Hunde schliefen", None),  # the stem of an irregular form is another one
    ("fr", "Où sont les maisons ?", 0),
    ("fr", "l’argent", 2),
    ("es", "¿Dónde están las casas?", 0),
    ("es", "manzana", 1),
    ("it", "Dove sono le case?", 0),
    ("it", "amici", 2),
    ("pt", "casas", 0),
    ("pt", "dinheiros", 2),
    ("nl", "huizen", 0),
    ("nl", "appel", 1),
    ("ru", "Где дома?", 0),
    ("ru", "яблоко", 1),
    ("ru", "Почему собаки?", 4),
    ("sv", "hundar", 4),
    ("da", "hunde", 4),
    ("no", "hunder", 4),
    ("tr", "elma", 1),
    ("tr", "İSTANBUL", 5),
    ("en", "houses", 0),
]


def subtitles(lines: list[str] | tuple[str, ...]) -> tuple[Subtitle, ...]:
    return tuple(Subtitle(10.0 * number, 10.0 * number + 5, text) for number, text in enumerate(lines))


def timeline(lines: list[str] | tuple[str, ...]) -> Timeline:
    return build_timeline(10.0 * len(lines) + 5, subtitles(lines))


def stored(key: str, lines: list[str] | tuple[str, ...]) -> StoredText:
    return StoredText(TextKind.SUBTITLES, key, subtitles(lines), f"{key}.srt")


# --- detection ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", TEXTS)
def test_language_of_five_lines(language: str) -> None:
    assert language in LANGUAGES
    assert detect_language(TEXTS[language]) == language


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [""],
        ["♪ ♪", "12:30", "…"],
        ["Das Haus liegt am See."],  # too short
        ["Wo?", "Hier!", "Nein."],
        ["我弟弟在哪里？", "我不知道该说什么。", "明天是新的一天。"] * 9,
        ["兄はどこにいますか。", "何を言えばいいのか分からない。"] * 9,
        ["내 동생은 어디에 있어요?", "무슨 말을 해야 할지 모르겠어요."] * 9,
        ["Nem tudom, mit csináljak.", "Hol van a bőröndöm?", "Köszönöm, hogy eljöttél ide."] * 9,
        ["Nie chcę o tym mówić, kochanie.", "Gdzie są moje klucze?", "Zróbmy to jeszcze dziś."] * 9,
        ["Де мій брат?", "Я не знаю, що сказати їй.", "Завтра буде інший день."] * 9,
        ["d l s c", "e o a", "n t 4", "la"] * 50,  # noise of recognized text
    ],
)
def test_language_unknown_or_too_little_is_english(lines: list[str]) -> None:
    assert detect_language(lines) == "en"


@pytest.mark.parametrize(("num_german", "num_english", "language"), [(9, 1, "de"), (1, 1, "en"), (1, 9, "en")])
def test_language_of_mixed_text(num_german: int, num_english: int, language: str) -> None:
    assert detect_language([*TEXTS["de"] * num_german, *TEXTS["en"] * num_english]) == language


@given(
    language=st.sampled_from(list(TEXTS)),
    seed=st.integers(0, 2**32),
    times=st.integers(2, 400),
    is_upper=st.booleans(),
)
def test_language_stable(language: str, seed: int, times: int, is_upper: bool) -> None:
    """The order, the length and the case of the lines do not decide it."""
    lines = [line.upper() if is_upper and language != "tr" else line for line in TEXTS[language] * times]
    random.Random(seed).shuffle(lines)
    assert detect_language(lines) == language


def test_language_of_all_parts_counts() -> None:
    """A film does not take the language of its first lines."""
    assert detect_language([*TEXTS["en"] * 20, *TEXTS["de"] * MAX_LINES]) == "de"


@given(st.lists(st.text(max_size=20), max_size=50))
def test_language_of_any_text_is_known(lines: list[str]) -> None:
    assert detect_language(lines) in LANGUAGES


# --- terms --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Die Häuser am See", "de", ("haus", "see")),
        ("Ich weiß, daß es heiß war", "de", ("weiss", "heiss")),
        ("l'homme de l’été", "fr", terms("homme été", "fr")),
        ("dell'amico", "it", terms("amici", "it")),
        ("Ankara’nın", "tr", terms("Ankara", "tr")),
        ("foto's", "nl", terms("foto", "nl")),
        ("日本語のニュース", "de", ("日本", "本語", "語の", "のニ", "ニュ", "ュー", "ース")),
        ("but", "fr", ("but",)),
        ("What does the dog do?", "de", ("dog",)),  # an English question about German lines
    ],
)
def test_terms_by_language(text: str, language: str, expected: tuple[str, ...]) -> None:
    assert terms(text, language) == expected


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each != "en"])
@given(text=st.text(max_size=40))
def test_terms_are_words_of_the_full_text_search(language: str, text: str) -> None:
    assert all(term and "'" not in term and "’" not in term for term in terms(text, language))


# --- search -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("language", "words", "place"), INFLECTED)
def test_words_found_in_any_inflection(language: str, words: str, place: int | None, tmp_path: Path) -> None:
    lines = TEXTS[language]
    expected = [] if place is None else [lines[place]]
    assert [each.line.text for each in occurrences(words, timeline(lines))] == expected
    with VideoIndex(tmp_path / "i", "f") as index:
        write_text(index, stored("talk", lines), COST)
        (summary,) = read_summaries(index)
        assert [line.text for line in search_lines(index, summary, words)] == expected


def test_two_texts_of_a_video_searched_each_by_its_language(tmp_path: Path) -> None:
    with VideoIndex(tmp_path / "i", "f") as index:
        for language in ("en", "de"):
            write_text(index, stored(language, TEXTS[language]), COST)
        english, german = read_summaries(index)
        assert [line.text for line in search_lines(index, german, "Häuser")] == [TEXTS["de"][0]]
        assert [line.text for line in search_lines(index, english, "houses")] == [TEXTS["en"][0]]
        assert search_lines(index, english, "Häuser") == search_lines(index, german, "houses") == []
        for language in ("en", "de"):
            text = read_text(index, TextKind.SUBTITLES, language)
            assert text is not None
            assert text.language == language


def test_english_lines_inside_german_text(tmp_path: Path) -> None:
    lines = [*TEXTS["de"] * 3, "These are the keys of my brother."]
    with VideoIndex(tmp_path / "i", "f") as index:
        write_text(index, stored("talk", lines), COST)
        (summary,) = read_summaries(index)
        assert [line.text for line in search_lines(index, summary, "Where are the keys?")] == [lines[-1]]


def test_search_across_videos_of_different_languages(short_video: Path, tmp_path: Path) -> None:
    for language in ("de", "fr", "en"):
        (tmp_path / f"{language}.mp4").write_bytes(short_video.read_bytes() + language.encode())
        cues = [f"{n}\n00:00:00,{n}00 --> 00:00:00,{n}90\n{text}\n" for n, text in enumerate(TEXTS[language], 1)]
        (tmp_path / f"{language}.srt").write_text("\n".join(cues))
    assert lva("index", tmp_path).returncode == 0
    for words, language in (("Häuser", "de"), ("maisons", "fr"), ("houses", "en")):
        found = lva("search", tmp_path, words).stdout.splitlines()
        assert len(found) == 1, (words, found)
        assert found[0].endswith(TEXTS[language][0])


def test_signs_searched_by_the_language_of_the_lines() -> None:
    sign = Evidence("c01", 1.0, 2.0, "frame", 1.0, "text: “Haus am See”")
    found = timeline_response.search_lines(replace(timeline(TEXTS["de"]), screen_texts=(sign,)), "Häuser", 0.0, None)
    assert [line["source"] for line in found["lines"]] == ["subtitle", "screen"]


# --- questions ----------------------------------------------------------------------------------------


QUESTIONS = {
    "de": "Wo liegen die Häuser?",
    "fr": "Où se trouvent les maisons ?",
    "es": "¿Dónde están las casas?",
    "it": "Dove si trovano le case?",
    "pt": "Onde ficam as casas?",
    "nl": "Waar staan de huizen?",
    "ru": "Где стоят дома?",
}
"""None has a content word in the form of the line that answers it, the first one."""


@pytest.mark.parametrize("language", QUESTIONS)
def test_question_in_the_language_of_the_text(language: str, short_video: Path, tmp_path: Path) -> None:
    path = tmp_path / "talk.mp4"
    path.write_bytes(short_video.read_bytes())
    cues = [f"{n}\n00:00:00,{n}00 --> 00:00:00,{n}90\n{text}\n" for n, text in enumerate(TEXTS[language], 1)]
    path.with_suffix(".srt").write_text("\n".join(cues))
    video = open_video(path)
    assert video.timeline.language == language
    assert open_video(path).timeline == video.timeline  # from the index
    question = Question(QUESTIONS[language])
    trace = answer(question, video, load_team("offline"), RolloutSettings(agents=Agents.GROUNDING))
    assert trace.language == language
    assert TEXTS[language][0] in trace.answer
    assert trace_from_dict(trace_to_dict(trace)) == trace


def test_grounding_by_inflected_words() -> None:
    filler = ["Wir gehen heute nicht in die Stadt.", "Das ist alles, was ich von ihm weiß."] * 20
    lines = [*filler, TEXTS["de"][0], *filler]
    video = timeline(lines)
    request = GroundingRequest("", video, Trace(Question("Wo liegen die Häuser?"), RolloutSettings()))
    label = locate(request).label
    assert label is not None
    clip = video.find_clip(label)
    assert clip is not None
    assert TEXTS["de"][0] in [line.text for line in clip.subtitles]


def test_record_without_language_is_of_english() -> None:
    record = trace_to_dict(Trace(Question("Who?"), RolloutSettings()))
    assert record.pop("language") == "en"
    assert trace_from_dict(record).language == "en"
    with pytest.raises(ValueError, match="language"):
        trace_from_dict({**record, "language": "xx"})


def test_chapter_titles_without_stop_words() -> None:
    topics = ("Boot Hafen Segel Anker Welle", "Brot Ofen Mehl Teig Kruste")
    lines = [f"Und das ist {word}, wie du es kennst." for topic in topics for _ in range(5) for word in topic.split()]
    titles = [chapter.title for chapter in find_chapters(timeline(lines))]
    assert titles
    words = {word.lower() for title in titles for word in title.split(" · ")}
    assert words <= {word.lower() for topic in topics for word in topic.split()} | {"kennst"}


# --- indexes that version 1 has written ---------------------------------------------------------------


def write_version_1(path: Path, fingerprint: str, texts: dict[str, StoredText]) -> None:
    """An index as version 1 wrote it: without languages, and with the terms of English."""
    with VideoIndex(path, fingerprint) as index:
        for text in texts.values():
            write_text(index, text, COST)
    database = sqlite3.connect(path)
    try:
        database.execute("DROP TABLE vectors")
        database.execute("DROP TABLE scenes")
        database.execute("DROP TABLE events")
        database.execute("DROP TABLE event_sets")
        database.execute("ALTER TABLE texts DROP COLUMN language")
        lines = database.execute("SELECT id, text FROM lines").fetchall()
        database.executemany(
            "INSERT OR REPLACE INTO line_terms (rowid, terms) VALUES (?, ?)",
            [(line_id, " ".join(terms(text))) for line_id, text in lines],
        )
        database.execute("PRAGMA user_version = 1")
        database.commit()
    finally:
        database.close()


def test_index_of_version_1_migrated(tmp_path: Path) -> None:
    path, kept = tmp_path / "i", {language: stored(language, TEXTS[language]) for language in ("de", "en")}
    write_version_1(path, "f", kept)
    for _ in range(2):
        with VideoIndex(path, "f") as index:
            for language, text in kept.items():
                assert read_text(index, TextKind.SUBTITLES, language) == text  # nothing is read again
            german, english = read_summaries(index)
            assert [line.text for line in search_lines(index, german, "Häuser")] == [TEXTS["de"][0]]
            assert [line.text for line in search_lines(index, english, "houses")] == [TEXTS["en"][0]]
            assert index.problem == ""
            assert index.read(lambda database: database.execute("PRAGMA user_version").fetchone()) == (schema.VERSION,)
            languages = index.read(lambda database: database.execute("SELECT language FROM texts").fetchall())
            assert languages == [("de",), ("en",)]


def test_index_of_version_1_of_another_video_emptied(tmp_path: Path) -> None:
    write_version_1(tmp_path / "i", "f", {"de": stored("de", TEXTS["de"])})
    with VideoIndex(tmp_path / "i", "g") as index:
        assert (read_summaries(index), index.problem) == ([], "")
        write_text(index, stored("en", TEXTS["en"]), COST)
        assert len(read_summaries(index)) == 1


def test_index_of_version_1_migrated_without_fts5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Languages are recorded with the terms, so that a program with full-text search still writes both."""
    text = stored("de", TEXTS["de"])
    write_version_1(tmp_path / "i", "f", {"de": text})
    monkeypatch.setattr(schema, "FTS5", "CREATE VIRTUAL TABLE line_terms USING not_compiled_in(terms)")
    schema.has_fts5.cache_clear()
    try:
        with VideoIndex(tmp_path / "i", "f") as index:
            (summary,) = read_summaries(index)
            assert [line.text for line in search_lines(index, summary, "Häuser")] == [TEXTS["de"][0]]
            assert read_text(index, TextKind.SUBTITLES, "de") == text
    finally:
        monkeypatch.undo()
        schema.has_fts5.cache_clear()
    with VideoIndex(tmp_path / "i", "f") as index:
        (summary,) = read_summaries(index)
        assert [line.text for line in search_lines(index, summary, "Häuser")] == [TEXTS["de"][0]]
