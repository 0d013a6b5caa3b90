"""The marks between which models write their reasoning inside a reply, and the split of a reply at them.

Besides the tags that this project's models are trained with, these are the tags and special tokens of other models,
as their model cards and chat templates write them. A server that does not know a model's marks passes them on.
"""

from __future__ import annotations

import re
from typing import NamedTuple

REASONING_TAGS = ("think", "reasoning")
"""The tags that prompts and checkpoints of this project use."""
TEMPLATE_TAG = "think"
"""The reasoning tag that chat templates open."""
THOUGHT_TAGS = (
    *REASONING_TAGS,
    *("thinking", "thought", "thoughts"),  # Claude by its prompts; Gemini, EXAONE Deep
    *("seed:think", "reflection", "scratchpad", "inner_monologue"),  # Seed-OSS; by prompts
)
"""All tags around reasoning."""
_TOKENS = {
    "◁think▷": "◁/think▷",  # Kimi-VL
    "[THINK]": "[/THINK]",  # Magistral
    "<|think|>": "<|/think|>",
    "<|begin_of_thought|>": "<|end_of_thought|>",  # OpenThinker, Sky-T1
    "<|START_THINKING|>": "<|END_THINKING|>",  # Command A Reasoning
    "<|channel>thought": "<channel|>",  # Gemma 4
    "<unused94>thought": "<unused95>",  # MedGemma
}
"""Special tokens around reasoning: the opening one, which is also its name, and the closing one."""
REASONING_TOKENS = (*_TOKENS, *_TOKENS.values())
_OPENS = {opening.lower(): opening for opening in _TOKENS}
_CLOSES = {closing.lower(): opening for opening, closing in _TOKENS.items()}
HARMONY = "<|channel|>"
"""The name of gpt-oss's reasoning: what is in a channel other than ``final``."""
_TOKEN_TEXTS = (*_OPENS, *_CLOSES)
_TAG_MARK = (
    rf"<(?:\s*+(?P<slash>/?)\s*+(?P<tag>{'|'.join(THOUGHT_TAGS)})\s*+>"
    rf"|(?:{'|'.join(re.escape(text[1:]) for text in _TOKEN_TEXTS if text[0] == '<')})"
    r"|(?:\|start\|>\s*+\w*+\s*+<)?+\|channel\|>\s*+(?P<channel>final|\w*+)\s*+(?:<\|message\|>)?+"
    r"|(?P<end>\|(?:end|return|call)\|>))"
)
_OTHER_TOKEN = "|".join(re.escape(text) for text in _TOKEN_TEXTS if text[0] != "<")
_BARE_START, _BARE_END = "analysis", "assistantfinal"
_MARK = re.compile(_TAG_MARK, re.IGNORECASE)
"""A search that begins with one known character skips text quickly."""
_ANY_MARK = re.compile(rf"{_TAG_MARK}|(?:{_OTHER_TOKEN})|\A{_BARE_START}(?=[a-z])|{_BARE_END}", re.IGNORECASE)
"""Also the marks that begin otherwise, and what a server leaves of harmony that drops special tokens."""
_OTHER_START = re.compile(rf"{_BARE_START}[a-z]", re.IGNORECASE)
_OTHER_PARTS = ("◁", "THINK]", _BARE_END)


class TextSpan(NamedTuple):
    """Part of a reply, as character offsets."""

    start: int
    end: int


class SplitReply(NamedTuple):
    """A reply split into reasoning and the rest."""

    thoughts: list[TextSpan]
    outside: list[TextSpan]
    open_tag: str
    """The name of the reasoning that is never closed; empty if there is none."""

    @property
    def open_mark(self) -> str:
        """What opened the reasoning that is never closed, for a message."""
        return f"tag <{self.open_tag}>" if self.open_tag in THOUGHT_TAGS else f"mark {self.open_tag}"


class _Mark(NamedTuple):
    """A mark of reasoning."""

    name: str
    closes: bool
    opens_reply: bool = True
    """Whether a closing mark that nothing has opened ends a thought that began with the reply."""


def split_reasoning(reply: str) -> SplitReply:
    """Split a reply into reasoning and the rest, in time linear in its length; see ``protocol`` for the rules."""
    thoughts: list[TextSpan] = []
    outside: list[TextSpan] = []
    opened: set[str] = set()
    inside = ""
    start = 0
    has_other = _OTHER_START.match(reply) is not None or any(part in reply for part in _OTHER_PARTS)
    for match in (_ANY_MARK if has_other else _MARK).finditer(reply):
        mark = _mark(match)
        if inside:
            if mark.closes and mark.name == inside:
                thoughts.append(TextSpan(start, match.start()))
                inside, start = "", match.end()
        elif not mark.closes:
            outside.append(TextSpan(start, match.start()))
            opened.add(mark.name)
            inside, start = mark.name, match.end()
        elif mark.opens_reply and mark.name not in opened and (mark.name == TEMPLATE_TAG or not opened):
            thoughts, outside = [TextSpan(0, match.start())], []
            opened.add(mark.name)
            start = match.end()
        elif mark.name == HARMONY:  # the head or the end of an answer
            outside.append(TextSpan(start, match.start()))
            start = match.end()
    (thoughts if inside else outside).append(TextSpan(start, len(reply)))
    return SplitReply(thoughts, outside, inside)


def _mark(match: re.Match[str]) -> _Mark:
    """What a match of ``_MARK`` stands for."""
    if match["tag"]:
        return _Mark(match["tag"].lower(), bool(match["slash"]))
    text = match[0].lower()
    if text in _OPENS:
        return _Mark(_OPENS[text], closes=False)
    if text in _CLOSES:
        return _Mark(_CLOSES[text], closes=True)
    if match["end"]:
        return _Mark(HARMONY, closes=True, opens_reply=False)
    if match["channel"] is not None:
        return _Mark(HARMONY, closes=match["channel"].lower() == "final")
    return _Mark(HARMONY, closes=text == _BARE_END)
