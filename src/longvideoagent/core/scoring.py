"""From an answer's text to an option, and from there to a score.

This is the one meaning of "correct": evaluation and reward both call ``score``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from longvideoagent.core.outcome import Outcome
from longvideoagent.core.trace import Trace

# "a2", "A2", "2", "(2)", "a2.", "a2: the text", "option a2"; a bare number followed by words
# ("2 dogs") or by digits ("2.5") is text, so the label must end or be followed by a mark and a space.
_LABEL = re.compile(
    r"""[\s(\["'*]*(?:option\s+)?a?(\d{1,4})[)\]"'*]*(?:$|[.:,)\-–]*\s*$|\s*[.:,)\-–]+\s)""", re.IGNORECASE
)
# "B", "(b)", "B.", "**B**", "B: the text", "B) the text"; "A man" and "A, B" are text.
_LETTER = re.compile(
    r"""[\s(\["'“‘`*<]*([A-Z])[)\]"'”’`*>]*(?:[.:)\]。]*\s*\Z|(?:\s*[.:)\]]|\s+[-–—])[*\s]+(?=\S))""", re.IGNORECASE
)
# "The correct answer is option", "Final answer:", "Option", "Choice"; what follows must be a label to its end.
_LEAD = re.compile(
    r"""[\s*"'“‘`]*+(?:the\s++)?+(?:(?:final|correct|best|right|most\s++likely)\s++)*+(?:answer|option|choice|答案|选项)"""
    r"""(?:\s*+(?:is|是|为)(?=[\s:(\["'“‘`*])|(?<=[案项])[是为]?+)?+[\s:=*]*+""",
    re.IGNORECASE,
)
_MAX_LEADS = 3
"""As in "Answer: the correct answer is option B"."""
_BOX = re.compile(r"\\(?:boxed|fbox)\s*+\{|<\|begin_of_box\|>")
_TEX = re.compile(r"\\(?:text|math)[a-z]{0,6}\s*+(?=\{)|[{}$]")
_EDGES = " \t\r\n.,;:!?\"'“”‘’()[]*`"


@dataclass(frozen=True, slots=True)
class Score:
    """What one trace is worth against one gold option."""

    correct: bool
    """Whether the option that the answer names is the gold option."""
    answered: bool
    """False where the rollout abstained, was spent or failed."""


def match_option(answer: str, options: Sequence[str]) -> int | None:
    """The index of the option that ``answer`` names, or None; always None without options.

    An option's own text wins over a label, so with the options 2, 3, 4 the answer "3" is the second
    one. Labels count from 0 as in TVQA: "a2", "A2", "2", "(2)", "a2.", "a2: the text". Letters are labels, too:
    "C", "(C)", "Option C", "C. the text", "The answer is C"; as is what stands in a box, ``\\boxed{a2}``.
    """
    boxed = _boxed(answer)
    for text in (answer, boxed) if boxed else (answer,):
        index = _match_plain(text, options)
        if index is not None:
            return index
    return None


def _match_plain(answer: str, options: Sequence[str]) -> int | None:
    text = _plain(answer)
    for index, option in enumerate(options):
        if text and text == _plain(option):
            return index
    label = _LABEL.match(answer.strip())
    if label and int(label[1]) < len(options):
        return int(label[1])
    return _match_letter(answer, options)


def _match_letter(answer: str, options: Sequence[str]) -> int | None:
    """The option that a letter names, also after words such as "The answer is"."""
    rest = unicodedata.normalize("NFKC", answer).strip()
    for _ in range(_MAX_LEADS):
        if (letter := _LETTER.match(rest)) is not None:
            after = rest[letter.end() :]
            if letter[1] in "Aa" and (label := _LABEL.fullmatch(after) or _LETTER.fullmatch(after)):  # "A: a2"
                return _match_plain(label[0], options)
            return _at_letter(letter[1], after, options)
        lead = _LEAD.match(rest)
        if lead is None:
            return None
        rest = rest[lead.end() :]
        if (label := _LABEL.fullmatch(rest)) is not None:  # "The answer is a2"
            return int(label[1]) if int(label[1]) < len(options) else None
    return None


def _at_letter(letter: str, text: str, options: Sequence[str]) -> int | None:
    """The option with that letter; the text after it must not be another option's."""
    named = _plain(text)
    texts = [_plain(option) for option in options]
    index = ord(letter.upper()) - ord("A")
    own = [number for number, each in enumerate(texts) if re.match(rf"{letter.lower()}[.:)]\s", each)]
    if len(own) == 1:  # the options have letters of their own
        index = own[0]
    if named and named in texts and texts.index(named) != index:
        return texts.index(named)
    is_other = any(named and named in each for number, each in enumerate(texts) if number != index)
    if index >= len(options) or (is_other and named not in texts[index]):
        return None
    return index


def _boxed(answer: str) -> str:
    """What stands in the last box of an answer, as mathematical models write it; empty if there is none."""
    boxes = list(_BOX.finditer(answer))
    if not boxes:
        return ""
    inside, depth = answer[boxes[-1].end() :], 1
    if boxes[-1][0].startswith("<"):
        return inside.partition("<|end_of_box|>")[0].strip()
    for position, char in enumerate(inside):
        depth += {"{": 1, "}": -1}.get(char, 0)
        if depth == 0:
            return _TEX.sub("", inside[:position]).strip()
    return ""


def score(trace: Trace, gold_option: int | None) -> Score:
    """Score a multiple-choice trace. Only the trace's own final action counts, never prose.

    Args:
        trace: The trace of a finished rollout.
        gold_option: The index of the correct option; None if it is not known, and then nothing is correct.

    Returns:
        Whether the trace names the correct option, and whether it answered.
    """
    correct = gold_option is not None and trace.option_index == gold_option
    return Score(correct=correct, answered=trace.outcome is Outcome.ANSWERED)


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split()).strip(_EDGES)
