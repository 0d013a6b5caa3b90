from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.media.subtitles import parse_subtitles
from longvideoagent.media.text_encoding import ENCODED_TWICE, decode_text

SAMPLES = {
    "hr": "Već smo čuli tu priču.\nKaži mi što želiš, čovječe.\nNećeš valjda otići bez kaputa?\nĐak je došao kući.",
    "pl": "Myślę, że już późno.\nNie chcę o tym mówić, kochanie.\nGdzie są moje klucze?\nZróbmy to jeszcze dziś.",
    "cs": "Řekni mi, co se děje.\nTo přece není možné.\nUž jsem tě hledal všude.\nKde máš ty peníze, příteli?",
    "hu": "Nem tudom, mit csináljak.\nHol van a bőröndöm?\nKöszönöm, hogy eljöttél ide.\nTűnj innen, de gyorsan!",
    "ro": "Nu ştiu ce să fac acum.\nUnde îţi este maşina?\nVino aici şi spune-mi tot.\nAm fost în oraş ieri.",
    "tr": "Bugün hava çok güzel değil mi?\nSana bir şey söylemek istiyorum.\nKapıyı açık bırakma.\nİşte oğlum geldi.",
    "lt": "Aš nežinau, ką daryti.\nKur yra mano raktai?\nŠiandien labai šalta, ar ne?\nPalauk manęs čia, gerai?",
    "lv": "Es nezinu, ko darīt.\nKur ir manas atslēgas?\nŠodien ir ļoti auksts.\nViņš vēl nav atnācis mājās.",
    "de": "Ich weiß nicht, wo er ist.\nDie Tür ist offen geblieben.\nKönnen wir später reden?\nDas hört sich schön an.",
    "fr": "Où est-ce qu’il est passé ?\nJe sais ce que ça veut dire.\nIl était là hier, très tôt.\nÇa m’a coûté cher.",
    "es": "¿Dónde está mi hermano?\nNo sé qué decirte, señor.\nMañana será otro día.\n¡Qué lástima, se acabó!",
    "pt": "Não sei o que dizer.\nOnde está o meu irmão?\nVocê já falou com a mãe dele?\nAmanhã é outro dia, então.",
    "is": "Ég veit það ekki, því miður.\nHvar er bróðir minn núna?\nÞetta er ekki rétt hjá þér.\nÁ morgun kemur hún.",
    "ru": "Где мой брат?\nЯ не знаю, что сказать.\nЗавтра будет новый день.",
    "uk": "Де мій брат?\nЯ не знаю, що сказати їй.\nЗавтра буде інший день.",
    "el": "Πού είναι ο αδελφός μου;\nΔεν ξέρω τι να πω.\nΑύριο θα είναι καλύτερα.",
    "he": "איפה אחי?\nאני לא יודע מה להגיד.\nמחר יהיה יום חדש.",
    "ar": "أين أخي الآن؟\nلا أعرف ماذا أقول لك.\nغدا سيكون يوما جديدا.",
    "th": "พี่ชายของฉันอยู่ที่ไหน\nฉันไม่รู้จะพูดอะไร\nพรุ่งนี้จะเป็นวันใหม่",
    "ja": "兄はどこにいますか。\n何を言えばいいのか分からない。\n明日は新しい日です。",
    "ko": "내 동생은 어디에 있어요?\n무슨 말을 해야 할지 모르겠어요.\n내일은 새로운 날입니다.",
    "zh": "我弟弟在哪里？\n我不知道该说什么。\n明天是新的一天。",
    "zh-Hant": "我弟弟在哪裡？\n我不知道該說什麼。\n明天是新的一天。",
}


@pytest.mark.parametrize(
    ("language", "encoding"),
    [
        *((language, encoding) for language in ("hr", "pl", "cs", "hu") for encoding in ("cp1250", "iso8859_2")),
        *((language, "mac_latin2") for language in ("pl", "cs", "hu")), ("hr", "mac_croatian"),
        ("ro", "cp1250"), ("tr", "cp1254"), ("tr", "mac_turkish"), ("lt", "cp1257"), ("lv", "cp1257"),
        *((language, encoding) for language in ("de", "fr", "es", "pt") for encoding in ("cp1252", "mac_roman")),
        ("is", "cp1252"), ("ru", "cp1251"), ("ru", "koi8_r"), ("ru", "cp866"), ("ru", "mac_cyrillic"),
        ("ru", "iso8859_5"), ("uk", "cp1251"), ("uk", "koi8_u"), ("el", "cp1253"), ("el", "iso8859_7"),
        ("he", "cp1255"), ("ar", "cp1256"), ("th", "cp874"), ("ja", "euc_jp"), ("ja", "cp932"), ("ja", "iso2022_jp"),
        ("ko", "euc_kr"), ("ko", "cp949"), ("zh", "gb18030"), ("zh", "gbk"), ("zh-Hant", "big5"),
    ],
)  # fmt: skip
def test_legacy_encodings(language: str, encoding: str) -> None:
    text = SAMPLES[language]
    assert decode_text(text.encode(encoding)).text == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("He is so naïve about it.", "cp1252"),
        ("It’s late… I don’t know.", "cp1252"),
        ("I don’t think it’s here, we’re late.", "mac_roman"),
        ("Copyright © 2003, at 25° in Zürich", "cp1252"),
        ("Señor, São Paulo", "cp1252"),
        ("Neće da izađe.", "cp1250"),
        ("Teşekkürler, iyi akşamlar.", "cp1254"),
        ("Hello there.\n" * 300 + "Über all that\n", "cp1252"),
        ("こんにちは", "euc_jp"),
        ("안녕하세요", "euc_kr"),
    ],
)
def test_legacy_encodings_of_little_text(text: str, encoding: str) -> None:
    assert decode_text(text.encode(encoding)).text == text


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks(mark: str) -> None:
    text = SAMPLES["hr"]
    assert decode_text(text.encode(mark)) == (text, decode_text(text.encode(mark)).encoding, False, [])


def test_warning_shows_a_line_that_depends_on_the_guess() -> None:
    lines = ["Good morning.", *SAMPLES["hr"].split("\n")]
    blocks = [f"{n}\n00:00:{n:02},000 --> 00:00:{n:02},900\n{line}\n" for n, line in enumerate(lines, 1)]
    warnings = parse_subtitles("\n".join(blocks).encode("cp1250")).warnings
    assert len(warnings) == 1
    assert "were read as cp1250" in warnings[0]
    assert "Već smo čuli tu priču." in warnings[0]
    assert "--encoding" in warnings[0]


def test_bytes_that_a_given_encoding_lacks_are_counted() -> None:
    assert decode_text(b"one \xff\xfe two", "ascii").warnings == [
        "2 characters of the subtitles are invalid ascii and were replaced"
    ]


@pytest.mark.parametrize("encoding", ["windows-1251", "shift_jis", "iso-8859-2"])
def test_encoding_that_xml_declares(encoding: str) -> None:
    words = {"windows-1251": "Да", "shift_jis": "はい", "iso-8859-2": "źle"}[encoding]
    data = f'<?xml version="1.0" encoding="{encoding}"?><tt>{words}</tt>'.encode(encoding)
    assert words in decode_text(data).text


@pytest.mark.parametrize("name", ["nonsense", "utf-8", "idna"])
def test_declared_encoding_that_does_not_fit(name: str) -> None:
    words = "Привет, как дела? Мы идём домой, уже совсем поздно, и на улице темно."
    data = f'<?xml version="1.0" encoding="{name}"?><tt>{words}</tt>'.encode("cp1251")
    assert words in decode_text(data).text


def test_mostly_utf_8() -> None:
    text = decode_text("été naïve café".encode() + b" d\xe9j\xe0 vu").text
    assert text.startswith("été naïve café d")
    assert decode_text("hello wör".encode() + b"\xc3").text.startswith("hello wör")


def test_korean_escapes() -> None:
    assert decode_text("안녕하세요".encode("iso2022_kr")).text == "안녕하세요"


@pytest.mark.parametrize(
    "text",
    [
        "Où est le café ? — Là-bas, à côté.",
        "Schöne Grüße aus München",
        "Привет, как дела?",
        "“Don’t,” she said…",
        "你好，世界",
        "naïve à la carte",
    ],
)
def test_text_encoded_twice_is_repaired(text: str) -> None:
    twice = "".join(
        bytes([byte]).decode("cp1252" if byte not in b"\x81\x8d\x8f\x90\x9d" else "latin-1") for byte in text.encode()
    )
    decoded = decode_text(f"{twice}\n{twice}\n".encode())
    assert decoded.text == f"{text}\n{text}\n"
    assert decoded.warnings == [ENCODED_TWICE]
    assert decode_text(b"\xef\xbb\xbf" + twice.encode()).text == text
    assert decode_text(text.encode()).text == text
    assert decode_text(text.encode()).warnings == []


@given(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"])))
def test_text_in_utf_8_stays_as_it_is(text: str) -> None:
    decoded = decode_text(f"line: {text} é\n".encode())
    assert (decoded.text, decoded.warnings) == (f"line: {text} é\n", [])


@pytest.mark.parametrize("text", ["Â", "Ã la carte", "São João é à", "10 Â° and é", "Ðe Ñandú"])
def test_letters_that_begin_such_runs_stay(text: str) -> None:
    assert decode_text(text.encode()).text == text
