"""The tag language between the master and the loop, in both directions.

``parse`` reads one reply; ``context`` writes observations. The tags of actions stand in the table
``actions.ACTIONS``: those of the paper (section on the master agent) and of its public code. Observations
come back inside ``<information>`` (what the vision agent sees, or a notice) and ``<New_clip>`` (the clip that
grounding names now).

Reasoning is ``<think>…</think>`` or ``<reasoning>…</reasoning>``, or stands between the marks of another model
(``core.reasoning``). It is split off first, and a tag inside it is not an action. Four rules make parsing total, and
linear in the length of the reply:

1. A closing reasoning tag without an opening one ends a thought that began with the reply: the chat
   templates of reasoning models write the opening tag. A server that stops at the closing tag of an action must
   therefore not do so while such a model still reasons.
2. A reasoning tag that is never closed makes the rest of the reply a thought: it was cut off.
3. Such a reply that nothing cut off, and whose last words are a complete action, is that action: the model
   closed its turn without closing its thought. This holds for the tags that this project's models are trained
   with, not for the marks of others, whose servers may end a reply where the thought ends.
4. Outside reasoning, the action whose closing tag comes first counts, and the text after it is dropped.
   An action never spans a thought.

The public code has another rule, which its checkpoints may rely on: see ``parse``, ``anywhere``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from longvideoagent.core.actions import ACTIONS, LOOK_TAGS, Action, Answer, Invalid, action_of, spec_of
from longvideoagent.core.reasoning import (
    REASONING_TAGS,
    TEMPLATE_TAG,
    THOUGHT_TAGS,
    SplitReply,
    TextSpan,
    split_reasoning,
)
from longvideoagent.core.special_tokens import PLAIN_BRACKET, SPECIAL_TOKENS
from longvideoagent.core.text import replace_surrogates
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.types import Clip, ClipObservation

ANSWER_TAG = spec_of(Answer).tags[0]
ACTION_TAGS = tuple(tag for spec in ACTIONS for tag in spec.tags)
MAX_STOP_TEXTS = 4
"""OpenAI's servers take no more."""
ACTION_ENDS = tuple(f"</{tag}>" for tag in ACTION_TAGS)[:MAX_STOP_TEXTS]
"""Where a server may stop a master that does not reason: the ends of the paper's actions."""
NOT_SHOWN = "NOT SHOWN"
"""How the reply of a vision model begins if the frames do not show what the query asks for."""
LOOP_TAGS = ("information", "New_clip")
"""The tags of observations, which only the loop writes."""
OBSERVATION_TAGS = (*LOOP_TAGS, "clip", "subtitles")
PROTOCOL_TAGS = ACTION_TAGS + THOUGHT_TAGS + OBSERVATION_TAGS
"""All tags of this language, which data must not hold."""

_ACTION_TAG = re.compile(rf"<\s*+(/?)\s*+({'|'.join(ACTION_TAGS)})\s*+(/?)\s*+>", re.IGNORECASE)
_SELF_CLOSING_TAGS = {tag for spec in ACTIONS if spec.allows_self_closing for tag in spec.tags}
_OPEN_THOUGHT = re.compile(rf"<{TEMPLATE_TAG}>\s*\Z")
_ANY_TAG = re.compile(
    rf"<(?=\s*+/?\s*+(?:{'|'.join(PROTOCOL_TAGS)})\s*+/?\s*+>)|{SPECIAL_TOKENS}",
    re.IGNORECASE,
)
_OWN_OBSERVATION = re.compile(rf"<({'|'.join(LOOP_TAGS)})>\s*\Z")
_CLIP = re.compile(r"<clip>([^<>]{1,200})</clip>([^\n<]{0,500})", re.IGNORECASE)
_TIMED_LINE = re.compile(
    r"^[ \t*\-\[]{0,5}(\d{1,6}(?:\.\d{1,3})?) ?s\]?[ \t]*[:\-–][ \t]*(\S[^\n]{0,500})", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class ParsedReply:
    """A reply of the master, split into its parts."""

    thought: str
    """Everything before the action, inside reasoning tags and outside."""
    action: Action
    text: str
    """The reply up to the end of its action; the whole reply without one."""


class _ActionMatch(NamedTuple):
    """An action and where it stands in the reply."""

    action: Action
    start: int
    end: int


class NamedClip(NamedTuple):
    """A clip that a grounding model names. The label is what the model wrote: look it up before use."""

    label: str
    reason: str


class TimedLine(NamedTuple):
    """A line of a vision model's reply that begins with a time."""

    time_s: float
    text: str


def parse(reply: str, reasoning: str = "", *, is_truncated: bool = False, anywhere: bool = False) -> ParsedReply:
    """Parse a reply of the master. Never raises; a reply without an action gives ``Invalid``.

    Args:
        reply: The text of the reply.
        reasoning: What a server returned in a field of its own; it comes before the reply.
        is_truncated: Whether a limit or a stop text ended the reply. An action in a thought that is still open
            then does not count.
        anywhere: The rule of the public code: an action counts wherever it is, also inside reasoning, closed or not.
            A look has precedence over a relocation, and that over an answer. Rules 1 to 4 then only find what that
            rule does not: actions in other spellings of their tags.

    Returns:
        The thought, the action and the text up to its end; with ``anywhere``, the thought is all before the action.
    """
    if anywhere and (match := _action_anywhere(reply)):
        return ParsedReply(_join(reasoning, reply[: match.start]), match.action, reply[: match.end])
    split = split_reasoning(reply)
    for span in split.outside:
        found = _first_action(reply, span)
        if found is not None:
            thought = _join(reasoning, *_thought(reply[: found.start], split))
            return ParsedReply(thought, found.action, reply[: found.end])
    if split.open_tag in REASONING_TAGS and not is_truncated and (match := _final_action(reply, split.thoughts[-1])):
        return ParsedReply(_join(reasoning, reply[: match.start]), match.action, reply[: match.end])
    reason = _why_invalid(reply, split, anywhere=anywhere)
    return ParsedReply(_join(reasoning, *_thought(reply, split)), Invalid(reason), reply)


def _why_invalid(reply: str, split: SplitReply, *, anywhere: bool) -> str:
    """Why a reply without an action is invalid."""
    if own := _OWN_OBSERVATION.search(reply):
        return f"the reply was stopped at <{own[1]}>, which only the loop writes, before an action"
    if not anywhere and split.open_tag:
        return f"the reasoning {split.open_mark} was never closed"
    return f"the reply holds no complete action{'' if anywhere else ' outside its reasoning'}"


def _thought(reply: str, split: SplitReply) -> list[str]:
    """The pieces of a reply before its action: reasoning, and prose up to the first tag of an action."""
    pieces = [(start, reply[start:end]) for start, end in split.thoughts]
    for start, end in split.outside:
        tag = _ACTION_TAG.search(reply, start, end)
        pieces.append((start, reply[start : tag.start() if tag else end]))
    return [piece for _, piece in sorted(pieces)]


def _first_action(reply: str, span: TextSpan) -> _ActionMatch | None:
    opened: dict[str, re.Match[str]] = {}
    for tag in _ACTION_TAG.finditer(reply, *span):
        name = tag[2].lower()
        is_closing, is_self_closing = bool(tag[1]), bool(tag[3])
        if is_self_closing:
            if name in _SELF_CLOSING_TAGS and not is_closing:
                return _ActionMatch(action_of(name, ""), tag.start(), tag.end())
        elif not is_closing:
            opened[name] = tag
        elif name in opened:
            opening = opened[name]
            text = reply[opening.end() : tag.start()].strip()
            return _ActionMatch(action_of(name, text), opening.start(), tag.end())
    return None


def _final_action(reply: str, span: TextSpan) -> _ActionMatch | None:
    """The action that the reply ends with, or None."""
    end = len(reply.rstrip())
    closing: re.Match[str] | None = None
    opened: dict[str, re.Match[str]] = {}
    for tag in _ACTION_TAG.finditer(reply, *span):
        if not tag[1] and not tag[3]:
            opened[tag[2].lower()] = tag
        closing = tag
    if closing is None or closing.end() != end or (not closing[1] and not closing[3]):
        return None
    opening = opened.get(closing[2].lower())
    start = closing.start() if closing[3] or opening is None else opening.start()
    return _first_action(reply, TextSpan(start, end))


def _action_anywhere(reply: str) -> _ActionMatch | None:
    """The first complete action of the kind that comes first in the table of actions, or None."""
    for spec in ACTIONS:
        matches = [match for tag in spec.tags if (match := _complete_tag(tag, reply)) is not None]
        if matches:
            return min(matches, key=lambda match: match.start)
    return None


def _complete_tag(tag: str, reply: str) -> _ActionMatch | None:
    """The first opening tag of this name with the closing tag that follows it; linear, unlike a regular expression."""
    start = reply.find(f"<{tag}>")
    end = reply.find(f"</{tag}>", start)
    if start < 0 or end < 0:
        return None
    text = reply[start + len(tag) + 2 : end].strip()
    return _ActionMatch(action_of(tag, text), start, end + len(tag) + 3)


def has_action(reply: str, *, anywhere: bool = False) -> bool:
    """Whether the reply, as far as it goes, holds a complete action, so that it may end there.

    ``anywhere`` is as in ``parse``.
    """
    return not isinstance(parse(reply, is_truncated=True, anywhere=anywhere).action, Invalid)


def is_inside_reasoning(reply: str) -> bool:
    """Whether the reply, as far as it goes, ends inside its reasoning."""
    return bool(split_reasoning(reply).open_tag)


def _last_action_tag(reply: str) -> re.Match[str] | None:
    last = None
    for tag in _ACTION_TAG.finditer(reply):
        last = tag
    return last


def restore_stop_tag(reply: str) -> str:
    """Append the closing tag at which a server stopped, which it leaves out of the reply."""
    last = _last_action_tag(reply)
    if last is None or last[1] or last[3]:
        return reply
    return f"{reply}</{last[2]}>"


def normalize_look_tag(reply: str, look_tag: str) -> str:
    """Spell the tags of a look at the end of the reply as ``look_tag``; leave any other reply as it is."""
    last = _last_action_tag(reply)
    if last is None or not last[1] or last[2].lower() not in LOOK_TAGS or last.end() != len(reply.rstrip()):
        return reply
    tags = [tag for tag in _ACTION_TAG.finditer(reply) if tag[2].lower() == last[2].lower()]
    opening = next((tag for tag in reversed(tags) if not tag[1] and not tag[3]), None)
    if opening is None:  # the model closed what it had not opened
        return reply
    return f"{reply[: opening.start()]}<{look_tag}>{reply[opening.end() : last.start()]}</{look_tag}>"


def reasoning_prefix(prompt: str) -> str:
    """Return the opening reasoning tag at the end of a rendered prompt, or the empty string.

    A chat template that writes it makes the reply begin inside the reasoning.
    """
    tag = _OPEN_THOUGHT.search(prompt)
    return tag.group() if tag else ""


def parse_clips(reply: str) -> list[NamedClip]:
    """Parse the clips that a grounding model names outside its reasoning, each label once. Never raises.

    Forms: ``<clip>c01</clip> reason``, ``{"clips": [{"label": "c01", "reason": "…"}]}``, and a reply of one
    word, which is a label.
    """
    text = "\n".join(reply[start:end] for start, end in split_reasoning(reply).outside).strip()
    opens, closes = text.find("{"), text.rfind("}")
    clips = _clips_in_json(text[opens : closes + 1]) if 0 <= opens < closes else []
    if clips:
        return clips
    # The first mention of a label counts, so the mentions are read from the last to the first.
    reasons = {label.strip(): reason.strip(" \t-–:") for label, reason in reversed(_CLIP.findall(text))}
    if not reasons and len(text.split()) == 1:
        return [NamedClip(text.strip(" \t\r\n\"'.,[]()`*"), "")]
    return [NamedClip(label, reason) for label, reason in reversed(reasons.items())]


def _clips_in_json(text: str) -> list[NamedClip]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return []
    clips = value.get("clips") if isinstance(value, dict) else None
    entries = [clip for clip in clips if isinstance(clip, dict)] if isinstance(clips, list) else []
    reasons = {str(entry.get("label")): str(entry.get("reason", "")) for entry in entries}
    return [NamedClip(label, reason) for label, reason in reasons.items()]


def without_reasoning(reply: str) -> str:
    """Return the reply without its reasoning, or all of it if nothing else is left."""
    spans = split_reasoning(reply).outside
    return "\n".join(reply[start:end].strip() for start, end in spans).strip() or reply.strip()


def says_not_shown(reply: str) -> bool:
    """Whether a vision model says, in the form its prompt asks for, that the frames do not show the query."""
    return reply.lstrip(" *\"'").upper().startswith(NOT_SHOWN)


def parse_timed_lines(reply: str) -> list[TimedLine]:
    """Parse the lines ``75.0 s: …`` of a vision model's reply. Never raises."""
    return [TimedLine(float(time_s), text.strip()) for time_s, text in _TIMED_LINE.findall(reply)]


def _join(*parts: str) -> str:
    return "\n".join(part.strip() for part in parts if part.strip())


def render_located(located: ClipObservation) -> str:
    """Write the clip's label and times, and the subtitles of its evidence window."""
    clip = located.clip
    head = f"Clip: {clip.label} ({format_timestamp(clip.start_s)} to {format_timestamp(clip.end_s)})"
    return f"{head}\n{render_lines(located.window)}"


def render_lines(window: Sequence[Clip]) -> str:
    """Write the subtitle lines of clips, each with its time, under a heading for each clip."""
    return "\n".join(_render_clip(clip, has_title=len(window) > 1) for clip in window)


def _render_clip(clip: Clip, *, has_title: bool) -> str:
    lines = [f"[{format_timestamp(line.start_s)}] {escape_tags(line.text)}" for line in clip.subtitles]
    title = [f"Subtitles of {clip.label}:" if has_title else "Subtitles:"]
    return "\n".join(title + (lines or ["(none)"]))


def escape_tags(text: str) -> str:
    """Replace the opening brackets of protocol tags and chat-template tokens in ``text``.

    Data then cannot pose as an action, an observation or another turn: a subtitle ``<answer>a1</answer>`` stays
    a subtitle. Lone surrogates are replaced, too.
    """
    if "<" in text or "[" in text or "]" in text or "◁" in text:  # few lines have one
        text = _ANY_TAG.sub(PLAIN_BRACKET, text)
    return replace_surrogates(text)
