"""Languages as models of their text, for telling legacy encodings apart (``letter_statistics``)."""

from __future__ import annotations

from typing import NamedTuple


class CharacterLevel(NamedTuple):
    """The common characters of a script that has thousands, as a standard lists them."""

    encoding: str
    first_lead: int
    last_lead: int
    """The first bytes of the characters in this encoding."""
    num_characters: int


class Language(NamedTuple):
    """What text of a language consists of."""

    encodings: tuple[str, ...]
    """The encodings in which its text is found, the likeliest first."""
    share: float
    """Of letters beyond ASCII among all letters."""
    letters: str
    """The letters beyond ASCII, the most frequent first."""
    rare: str = ""
    """Letters of ASCII that only foreign words have."""
    words: frozenset[str] = frozenset()
    """Short words that are in most sentences."""
    others: CharacterLevel | None = None
    """Further characters, each much less frequent than ``letters``."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WESTERN = ("cp1252", "mac_roman", "cp850")
_CENTRAL = ("cp1250", "iso8859_2", "mac_latin2", "cp852")
_TURKISH = ("cp1254", "mac_turkish", "cp857")
_BALTIC = ("cp1257", "iso8859_4", "mac_latin2", "cp775")
_CYRILLIC = ("cp1251", "koi8_r", "cp866", "mac_cyrillic", "iso8859_5")
_GREEK = ("cp1253", "iso8859_7", "mac_greek", "cp737")

LATIN = (
    # English, German, Dutch
    Language(
        _WESTERN, 0.0005, "éïñçèöüáà", "", _words("the you to a it and of is that in what we for me this on no be")
    ),
    Language(
        _WESTERN, 0.018, "äüöß", "qxy", _words("ich sie das ist du nicht die und es der wir was zu er in ein für")
    ),
    Language(_WESTERN, 0.001, "ëéïóöüè", "qx", _words("ik je het de is dat een niet en van we wat hij in te zijn op")),
    # French, Spanish, Catalan, Portuguese, Italian
    Language(
        _WESTERN,
        0.035,
        "éàèêçùîôâûïëœ",
        "kw",
        _words("je de est pas le vous la tu que un il et à ne les ce en ça une où"),
    ),
    Language(
        _WESTERN, 0.03, "óíáéñúü", "kw", _words("que de no a la el es y en lo un por qué me una te los se con está él")
    ),
    Language(
        _WESTERN, 0.03, "àóèéíçúòïü·", "kwy", _words("que de no la el a és i un per en em una què ho les amb si és")
    ),
    Language(
        _WESTERN, 0.04, "ãáéçêíóõúâàô", "kwy", _words("que não de o é a você eu um e se para uma do em está me isso na")
    ),
    Language(
        _WESTERN,
        0.012,
        "èàòùìé",
        "jkwxy",
        _words("non che di è e la il un a per mi sono ho ma ti lo si ha cosa perché"),
    ),
    # Swedish, Danish, Norwegian, Finnish, Icelandic
    Language(_WESTERN, 0.05, "äåöé", "qwxz", _words("jag det är du inte att en och har vi på i för vad med är så ni")),
    Language(
        _WESTERN, 0.025, "øåæé", "qwxz", _words("jeg det er du ikke at en og har vi på til med hvad for så den kan")
    ),
    Language(_WESTERN, 0.02, "åøæé", "qwxz", _words("jeg det er du ikke å en og har vi på til med hva for så den kan")),
    Language(
        _WESTERN, 0.055, "äöåé", "bcfqwxz", _words("on ja ei se että en hän mitä sinä olen minä niin mutta voi sen")
    ),
    Language(
        _WESTERN, 0.11, "íáðþóöéúæý", "cqwz", _words("að ég er það og þú í ekki á við hann til um þetta hvað var af")
    ),
    # Polish, Czech, Slovak, Hungarian
    Language(
        _CENTRAL, 0.07, "łąężćśóńź", "qvx", _words("nie to się w na i z co jest że do tak jak mnie a o mi ty dla")
    ),
    Language(
        _CENTRAL, 0.13, "áíěéčžřšýůúňťďó", "qwx", _words("je to se a na v že si jsem ne co do tak by za ale jak mi")
    ),
    Language(
        _CENTRAL, 0.11, "áíčéžšýťúľóňôďäĺŕ", "qwx", _words("je to sa a na v že si som nie čo do tak by za ale ako mi")
    ),
    Language(_CENTRAL, 0.115, "áéöóőíüúű", "qwx", _words("a nem az hogy és van egy ez ha is mi meg de ő én jó már el")),
    # Slovene; Croatian, Bosnian and Serbian
    Language(
        (*_CENTRAL, "mac_croatian"), 0.031, "čšž", "qwxy", _words("je in ne da se sem na to si za v kaj bi ti so ni pa")
    ),
    Language(
        (*_CENTRAL, "mac_croatian"),
        0.028,
        "čšžćđ",
        "qwxy",
        _words("je da se ne u i to sam na što za si mi ti nije li od"),
    ),
    # Romanian, Albanian, Turkish
    Language(
        (*_CENTRAL, "mac_romanian"), 0.06, "ăşţîâ", "kqwy", _words("nu să de a o ce e şi în am la că te pe mai un cu")
    ),
    Language(_WESTERN, 0.08, "ëç", "w", _words("të e një dhe në nuk unë që për me do është i më ka kjo po si")),
    Language(
        _TURKISH, 0.1, "ıüşğçöİâîû", "qwx", _words("bir bu ne ve için mi o da de ben çok var sen değil evet ama şey")
    ),
    # Lithuanian, Latvian, Estonian
    Language(_BALTIC, 0.07, "ėšųūąžčįę", "qwx", _words("ne ir tai aš kad su į jis tu mes kas man yra jūs ar iš taip")),
    Language(
        _BALTIC, 0.1, "āīēšūņžļčķģ", "qwxy", _words("es ir un to ka nav tu ne par man viņš kas ar no tas vai mēs")
    ),
    Language(
        (*_BALTIC[:1], "cp1252", *_BALTIC[1:]),
        0.04,
        "äõüöšž",
        "cqwxy",
        _words("ei on ja ma see et sa mis oli ta kui seda aga me ka mu nii"),
    ),
)
NON_LATIN = (
    # Russian, Ukrainian, Bulgarian, Serbian, Macedonian
    Language(_CYRILLIC, 0.97, "оеаинтслрвкмдпуяьыгзбчйжхшюцэщфъё"),
    Language(("cp1251", "koi8_u", "mac_cyrillic", "iso8859_5", "cp1125"), 0.97, "оанитівеслркмдупязьбгчйхжшїцюєщфґ"),
    Language(_CYRILLIC, 0.97, "аеоитнсрвлдмкпзъябугчжшйцщхфюь"),
    Language(_CYRILLIC, 0.97, "аоиенјтсрдвкмулпзбгчшжцњћљхђфџ"),
    Language(_CYRILLIC, 0.97, "аоиетнрсвдкмлпузгбјшчжцњќхѓљџфѕ"),
    # Greek, Hebrew, Arabic, Persian, Thai
    Language(_GREEK, 0.97, "αοιετνσρςπκμλυηίδάγέόωήύθχώφβξζψϊΐ"),
    Language(("cp1255", "iso8859_8"), 0.97, "יהולאתרמשבנםחדעקכפןסגצזטךץף"),
    Language(("cp1256", "iso8859_6"), 0.97, "المينوتربهكدعسفحأقةشجىطخإصءضئزثذغآظؤ"),
    Language(("cp1256",), 0.97, "اینمردهتوبشزسکگخلفقعچجآحپصطغضذئژثظءيك"),
    Language(("cp874",), 0.97, "านรอก่เง้มยลัวดทสิีตหไปบคะแ็จพชขำใู์ุืึผโซถธภณศษฉฟญๆฮฐฆ"),
    # Chinese, simplified and traditional; Japanese; Korean
    Language(
        ("gb18030",),
        0.98,
        "我的你是了不一他在们这有个人来么那好会吗说什就要到没她去为知看对可以能吧想得道过上都里时很还子也点让把给下谁样大家怎走"
        "现做真自己出起后和但如果因跟请再多些事天回听今问快开心话妈爸先生小姐啊呢哦嘿",
        others=CharacterLevel("gb2312", 0xB0, 0xD7, 3755),
    ),
    Language(
        ("big5", "big5hkscs"),
        0.98,
        "我的你是了不一他在們這有個人來麼那好會嗎說什就要到沒她去為知看對可以能吧想得道過上都裡時很還子也點讓把給下誰樣大家怎走"
        "現做真自己出起後和但如果因跟請再多些事天回聽今問快開心話媽爸先生小姐啊呢哦嘿",
        others=CharacterLevel("big5", 0xA4, 0xC6, 5401),
    ),
    Language(
        ("euc_jp", "cp932"),
        0.98,
        "いのなたてにるかんとしをはがでだれらまってうすこもそよりあどきくけさみえ何私ちわ人せめばおやつろべじねげほずごびぶへむ"
        "ーンスルトアラリイドクカシジレコタッロマフィバデサテムキナパ見行大生日本君彼ァィゥェォャュョウエオケセソチツニヌネノ"
        "ハヒヘホミメモヤユヨワヲガギグゲゴザズゼゾダヂヅビブベボピプペポぁぃぅぇぉゃゅょぎぐぞづぬひふぱぴぷぺぽゆ",
        others=CharacterLevel("euc_jp", 0xB0, 0xCF, 2965),
    ),
    Language(
        ("cp949",),
        0.98,
        "이다는을가에고하지어나의한를도은아기서로사그리자거해라만있들게네요인야내니었면말수일대안정없시보것무여마우주저오부스전제"
        "너음할뭐좀왜당신좋알되까했겠",
        others=CharacterLevel("euc_kr", 0xB0, 0xC8, 2350),
    ),
)
LANGUAGES = LATIN + NON_LATIN
