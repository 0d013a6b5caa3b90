"""The words by which kinds of questions are known, in English, German, French, Spanish, Chinese and Japanese.

Each constant matches any of its words. Words of scripts with spaces match as whole words.
"""

from __future__ import annotations

import re


def _words(spaced: str, unspaced: str = "") -> re.Pattern[str]:
    """A pattern of alternatives, one a line or separated by ``|``: regular expressions of whole words in scripts with
    spaces, and of any place in those without."""
    alternatives = [each.strip() for each in re.split(r"[|\n]", spaced) if each.strip()]
    pattern = rf"(?<!\w)(?:{'|'.join(alternatives)})(?!\w)"
    return re.compile(f"{pattern}|{unspaced}" if unspaced else pattern, re.IGNORECASE)


COUNT = _words(
    r"""how many|how often|how frequently|number of|count|counts|tally|how frequent|what frequency
    wie oft|wie häufig|wie viele|anzahl|zähl\w*
    combien|nombre de|nombre d
    cuántas|cuántos|cuantas|número de|con qué frecuencia""",
    "多少|几次|幾次|次数|何回|何度|回数",
)
FIRST = _words(
    r"""first|earliest|initial|initially|opening|begins?|starts?|opens?
    zuerst|erste[nrsm]?|erstmals|anfangs|frühest\w*|beginnt
    premiers?|premières?|d.abord|commence
    primer|primer[oa]s?|empieza|comienza""",
    "最先|首先|第一|最早|首次|最初|初めて|はじめて|一番目",
)
NTH = (
    (2, "second|2nd", "first"),
    (3, "third|3rd", "first"),
    (4, "fourth|4th", "first"),
    (5, "fifth|5th", "first"),
    (6, "sixth|6th", "first"),
    (7, "seventh|7th", "first"),
    (8, "eighth|8th", "first"),
    (9, "ninth|9th", "first"),
    (10, "tenth|10th", "first"),
    (2, "zweite", "erste"),
    (3, "dritte", "erste"),
    (2, "deuxième|seconde", "première"),
    (3, "troisième", "première"),
    (2, "segunda", "primera"),
    (3, "tercera", "primera"),
)
"""Numbers above one, their words, and the word for the first in the same language."""
NTH_OF = _words(
    r"""times?|things?|lines?|sentences?|mentions?|remarks?|occasions?|occurrences?
    mal|satz|zeile|fois|phrase|réplique|vez|frase|línea"""
)
"""What a number above one counts, if it stands before it."""
LAST = _words(
    r"""last|lastly|final|finally|latest|closing|finish\w*|ends?|concludes?|never
    zuletzt|letzte[nrsm]?|letztmals|schließlich|endet
    derniers?|dernières?|finit|termine
    últim[oa]s?|ultim[oa]s?|termina|acaba""",
    "最后|最後|最终|末尾|終わり",
)
WHEN = _words(
    r"""when|at what|at which|what time|which time|what minute|which minute|what point|which point|timestamp
    time code|how far
    how late|how early|how soon|moment|time
    wann|zeitpunkt|zu welche[rm]|bei welche[rm]|welche[rm]? minute
    quand|quel moment|quelle minute|à quel
    cuándo|cuando|qué momento|qué minuto""",
    "什么时候|何时|几分|哪一刻|时间|いつ|何分|時点",
)
WHO = _words(
    r"""who|whose|whom|which of the (?:people|persons|speakers|characters)|which person|which people|which speaker
    which speakers|which character|which one of them
    everybody|everyone
    every person|every speaker|all speakers|all the people|names of
    wer|wessen|wem|welche person|welche personen|welcher sprecher
    (?<!est-ce )(?<!ce )qui|quelle personne|quelles personnes
    quién|quiénes|quien|qué persona|qué personas""",
    "谁|誰|哪个人|だれ|どの人",
)
SAY = _words(
    r"""says?|said|saying|spoken|speaks?|speaking|spoke|talks?|talking|talked|talkative|mentions?|mentioned|utter\w*
    words?|lines?
    quote|sentences?|dialogue|conversation|brings? up|comes? up|came up|uses?|used|named|speech|remarks?|subtitles?
    discuss\w*
    redezeit|sprechzeit|sagt|sagen|sagte|gesagt|spricht|sprechen|gesprochen|erwähn\w*|genannt|redet|reden|wort
    wörter|worte|satz|sätze
    zeilen?
    dit|dire|disent|parle|parlent|parlé|mentionn\w*|mots?|phrases?|répliques?|prononc\w*
    dice|dicen|decir|dicho|habla|hablan|menciona\w*|palabras?|frases?|líneas?""",
    "说|説|讲|講|提到|提及|台词|台詞|话|話|言|セリフ|述べ",
)
MOST = _words(
    r"""most often|most|longest|largest number|greatest number|highest|more than|more lines|more often|more times
    on top|talkative|dominates?
    am meisten|die meisten|längste\w*|am längsten|am häufigsten|meiste
    le plus|la plus|les plus
    más""",
    "最多|最长|最久|最常|一番|最も",
)
MORE = _words(
    r"""more|longer|more often|more lines
    mehr|länger|öfter|häufiger
    plus|davantage
    más""",
    "更",
)
SPEAK = _words(
    r"""speaks?|talks?|spoke|talked|say something
    sprechen|spricht|reden|redet
    parlent?
    hablan?""",
    "说话|話",
)
BY_TIME = _words(
    r"""longest|longer|time|talkative|talking|duration|for long
    am längsten|länger|redezeit|sprechzeit|zeit
    longtemps|temps
    tiempo""",
    "最长|最久|时间|時間|長",
)
ORDER = _words(
    r"""(?:in|the|what|which|chronological|correct|right|by) order|order (?:in|of|these|them|the following)|sequence
    chronolog\w*|arrange
    sort|rank
    reihenfolge|sortier\w*|ordne
    ordre|triez?|classez?
    orden|ordena""",
    "顺序|順序|次序|順番|先后|排序",
)
EARLIEST = _words(
    r"""first|earliest|soonest
    zuerst|als erstes
    en premier|d.abord
    primero""",
    "最先|首先|最早|最初",
)
TEXTS = _words(
    r"""signs?|texts?|slides?|titles?|signage|posters?|billboards?|on screen|on the screen
    schild|schilder|schildern|texte?|folien?|titel
    panneaux?|textes?|pancartes?|enseignes?|titres?
    letreros?|carteles?|textos?|rótulos?|títulos?""",
    "标志|标牌|牌子|招牌|文字|标语|看板|標識|テキスト",
)
ALL = _words(
    r"""all|every|each|list|any|everything|everyone|everybody|over the whole|name|names
    alle|allen|jede[nrs]?|liste|nenne|sämtliche
    tous|toutes|chaque|liste\w*|énumère\w*|nomme\w*
    todos|todas|cada|lista|enumera|nombra""",
    "所有|全部|列出|每|すべて|全て|列挙|みんな",
)
BRIEF = _words(
    r"""flash(?:es|ed|ing)?|flicker(?:s|ed|ing)?|blinks?|blinked|blinking|split second|fraction of a second|instant
    instantly
    momentarily|for a moment|just a moment|briefly|pops? up|popped up|vanish\w*|blip
    aufblitz\w*|blitzt|kurz|kurzzeitig|augenblick|sekundenbruchteil
    brièvement|instant|éclair|fraction de seconde
    brevemente|instante|destell\w*|parpade\w*|fracción de segundo""",
    "闪|瞬间|一瞬|点滅",
)
LENGTH = _words(
    r"""how long|length|duration|running time|runtime|run time|how many minutes|how many seconds|how many hours
    how much time|play time
    wie lange?|länge|dauer|dauert|laufzeit|wie viele minuten|wie viele sekunden
    combien de temps|durée|longueur|dure|combien de minutes
    cuánto|cuánto tiempo|duración|dura|cuántos minutos""",
    "多长|多久|时长|长度|長さ|どのくらい|どれくらい|何分",
)
VIDEO = _words(
    r"""videos?|film|movie|episode|clip|talk|lecture|recording|footage|programme|show|whole thing
    aufnahme|folge|vortrag
    vidéo|épisode|enregistrement
    vídeo|película|episodio|grabación""",
    "视频|影片|電影|电影|录像|節目|节目|動画|ビデオ|映画|映像",
)
SCENES = _words(
    r"""scenes?|shots?
    szenen?|einstellungen
    scènes?|plans
    escenas?|planos""",
    "场景|镜头|シーン|カット",
)
SEE = _words(
    r"""see|seen|shows?|shown|visible|wears?|wearing|colou?rs?|looks?|holding|doing|picture|frame|appears?
    sieht|sehen|gezeigt|zeigt|farbe|trägt
    voit|voir|montre|montré|couleur|porte
    ve|ver|muestra|color|lleva""",
    "看|见|显示|颜色|見|映|色",
)
AT = _words(
    r"""at|around|about|near|@|go to|jump to|skip to|seek to|minute|mark
    bei|um|an|zum|gegen
    à|vers|au
    a|en|al|hacia""",
    "在|处|的时候|で|に|時点|の",
)
BEFORE_TIME = (
    re.compile(r"\b(?:before|vor|avant|antes de(?: las?)?)\s+\Z", re.IGNORECASE),
    re.compile(r"\s*(?:之前|以前|前|より前|の前)"),
)
AFTER_TIME = (
    re.compile(r"\b(?:after|since|nach|ab|après|después de(?: las?)?)\s+\Z", re.IGNORECASE),
    re.compile(r"\s*(?:之后|以后|之後|以後|后|後|より後|の後)"),
)
"""Before a time and behind it: that what is asked is on one side of it."""
PART = re.compile(
    r"\b(?:first|last|second|third|fourth|final|opening|closing|next|other|middle)"
    r" (?:(?:\d+|one|two|three|four|five|ten|few|couple of) )?"
    r"(?:half|third|quarter|part|scene|chapter|act|section|(?:few )?(?:minute|second|hour)s?)\b"
    r"|\b(?:erste[nrs]?|zweite[nrs]?|letzte[nrs]?) (?:\w+ )?"
    r"(?:hälfte|drittel|viertel|teil|szene|kapitel|minuten?|sekunden?)\b"
    r"|\b(?:première|seconde|deuxième|dernière|premières|dernières) (?:\w+ )?"
    r"(?:moitié|partie|scène|minutes?|secondes?)\b"
    r"|\b(?:primer[ao]?s?|segund[ao]|últim[ao]s?) (?:\w+ )?(?:mitad|parte|escena|minutos?|segundos)\b"
    r"|前半|后半|後半|[前后後最]\w?[\d一二两三四五十]+分",
    re.IGNORECASE,
)
"""A part of the video, without its times."""
RANK = re.compile(
    r"\b(?:second|third|fourth|fifth|2nd|3rd|4th|5th|next)[\s-]+(?:to[\s-]+)?(?:the[\s-]+)?"
    r"(?:last|final|most|longest|highest)\b"
    r"|\b(?:last|final) but one\b|\bpenultimate\b|\b(?:zweit|dritt|vor)letzte[nrsm]?\b"
    r"|\b(?:zweit|dritt)(?:meisten|längste\w*)\b"
    r"|\bavant-derni(?:er|ère)s?\b|\b(?:ante)?penúltim[oa]s?\b|倒数第|最後から",
    re.IGNORECASE,
)
"""A place from the end, or behind the one who has most."""
AT_A_MOMENT = re.compile(
    r"\b(?:after|before|while|until|as soon as|nachdem|bevor|während|après|avant|pendant|después|antes|mientras)\b"
    r"|(?<!^)\bwhen\b",
    re.IGNORECASE,
)
"""Such a question asks for one moment, not for the whole video."""
YES_NO = re.compile(
    r"(?:is|are|were|do|does|did|has|have|can|could|will|would)\s"
    r"|was\s(?!(?:wird|wurde|ist|sind|war|hat|sagt|sagte|sagen|redet|spricht|erzählt|meint|steht|passiert|geschieht|kommt)\b)"
    r"|(?:ist|sind|war|spricht|sagt|redet|hat|wird|kommt)\s|est-ce (?!que? qui)|est-il\b|¿?(?:habla|dice|es|está)\s",
    re.IGNORECASE,
)
"""At its start, a question for yes or no."""
YES_OR_NO = re.compile(r"\W*(?:yes|no|ja|nein|oui|non|s[íi]|是|是的|不是|否|はい|いいえ)\W*", re.IGNORECASE)
"""All of an option that says no more than yes or no."""
NOT = _words(
    r"""not|never|nobody|no one|except|besides|neither|nor|other than|\w+n['’]t
    nicht|nie|niemand|außer|weder|kein\w*
    ne|jamais|personne ne|sauf|ni
    no|nunca|nadie|excepto|salvo""",
    "不|没|沒|除了|ない|ません|以外",
)
FILLER = _words(
    r"""a|an|the|is|are|was|were|be|been|being|do|does|did|have|has|had|having|in|of|on|at|to|for|from|by|with|and
    or|that|this
    these|those|which|what|how|where|it|its|they|them|their|he|she|his|her|there|here|all|any|any|one|ones|very
    things?
    persons?|people|someone|somebody|anyone|anybody|anything|something|everybody|everyone|everything|whole|entire
    total|totals
    full|over|during|throughout|through|out|up|can|could|will|would|please|me|us|i|we|you|give|tell|list|name|names
    show|shown
    write|down|find|quote|read|get|gets|got|else|ever|also|only|just|into|together|than|more|much|many|each|every
    add|per
    altogether|overall|come|comes|once|watch|take|takes|lasts?|going|go|run|runs|characters?|speakers?|voices?|their
    own|as
    s|’s|start|beginning|end|same|largest|number|numerous|those|available|piece|stated|played|playing|minutes?
    seconds?
    der|die|das|den|dem|des|als|hat|haben|tiene|ont|ein|eine|einen|einem|ist|sind|war|wird|werden|wurde|im|in|von
    vom|zu|mit|und|oder|es|man
    auf|aus|gibt
    le|la|les|un|une|des|du|de|est|sont|il|elle|on|dans|en|et|ou|à|au|aux|ce|cette|qu|que|quels?|quelles?|se|y|ya|l
    d|a
    el|los|las|una|unos|es|son|se|que|qué|del|al|por|con|cuál|cuáles|hay|este|esta|lo""",
)
