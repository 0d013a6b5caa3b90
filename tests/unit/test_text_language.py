"""The language of a text, and the terms of its words."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.index.stored_text import (
    StepCost,
)
from longvideoagent.index.terms import terms
from longvideoagent.media.text_language import LANGUAGES, MAX_LINES, detect_language

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


@pytest.mark.parametrize("language", LANGUAGES)
@given(text=st.text(max_size=40))
def test_terms_are_words_of_the_full_text_search(language: str, text: str) -> None:
    assert all(term and "'" not in term and "’" not in term for term in terms(text, language) if language != "en")
