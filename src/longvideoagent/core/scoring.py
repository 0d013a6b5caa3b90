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
_EDGES = " \t\r\n.,;:!?\"'“”‘’()[]*`"


@dataclass(frozen=True, slots=True)
class Score:
    """What one trace is worth against one gold option."""

    correct: bool
    """Whether the option that the answer names is the gold option."""
    answered: bool
    """False where the rollout abstained, was spent or failed."""


def match_option(answer: str, options: Sequence[str]) -> int | None:
    """The index of the option that ``answer`` names, or None.

    An option's own text wins over a label, so with the options 2, 3, 4 the answer "3" is the second
    one. Labels count from 0 as in TVQA: "a2", "A2", "2", "(2)", "a2.", "a2: the text".
    """
    text = _plain(answer)
    for index, option in enumerate(options):
        if text and text == _plain(option):
            return index
    label = _LABEL.match(answer.strip())
    if label and int(label[1]) < len(options):
        return int(label[1])
    return None


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
