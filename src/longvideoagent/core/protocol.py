"""The tag language between master and loop, both directions.

``parse`` reads one reply; ``render`` writes one observation. The tags are those of the paper
(section on the master agent) and of its public code, which spells the look action ``search``:

==================================  ==========================================
``<visual_query>…</visual_query>``  look (also ``<search>…</search>``)
``<request_grounding>…``            relocate; the request may be empty
``<answer>…</answer>``              answer; empty abstains
``<information>…``                  what the vision agent saw, or a notice
``<New_clip>…``                     the clip that grounding points at now
==================================  ==========================================

Reasoning is ``<think>…</think>`` or ``<reasoning>…</reasoning>``. It is taken apart first and a tag
inside it is talk. Three rules make the reading total and linear in the length:

1. A closing reasoning tag without an opening one ends a thought that began with the reply: chat
   templates of thinking models write the opening tag themselves. A server that stops at an action's
   closing tag must therefore not do so while such a model still thinks.
2. A reasoning tag that is never closed makes the rest of the reply thought: it was cut short.
3. Outside reasoning the action whose closing tag comes first wins, and what follows it is dropped.
   An action never spans a thought.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from longvideoagent.core.types import (
    Action,
    Answer,
    Clip,
    ClipObservation,
    Invalid,
    Look,
    Observation,
    Relocate,
    SystemNotice,
    VisionResult,
)

LOOK_TAGS = ("visual_query", "search")
GROUND_TAG = "request_grounding"
ANSWER_TAG = "answer"
ACTION_TAGS = (*LOOK_TAGS, GROUND_TAG, ANSWER_TAG)
REASONING_TAGS = ("think", "reasoning")
TEMPLATE_TAG = "think"
"""The reasoning tag that chat templates open by themselves."""
ACTION_ENDS = tuple(f"</{tag}>" for tag in ACTION_TAGS)
"""Where a server may stop a master that is not thinking."""
NOT_SHOWN = "NOT SHOWN"
"""How a vision agent's reply begins where the frames do not show what was asked for."""
OBSERVATION_TAGS = ("information", "New_clip", "clip", "subtitles")

_REASONING_TAG = re.compile(rf"<\s*+(/?)\s*+({'|'.join(REASONING_TAGS)})\s*+>", re.IGNORECASE)
_ACTION_TAG = re.compile(rf"<\s*+(/?)\s*+({'|'.join(ACTION_TAGS)})\s*+(/?)\s*+>", re.IGNORECASE)
_OPEN_THOUGHT = re.compile(rf"<{TEMPLATE_TAG}>\s*\Z")
_ANY_TAG = re.compile(
    r"<(?=[|｜]|/?s>|(?:start|end)_of_turn>|"
    rf"\s*+/?\s*+(?:{'|'.join(ACTION_TAGS + REASONING_TAGS + OBSERVATION_TAGS)})\s*+/?\s*+>)",
    re.IGNORECASE,
)
_CLIP = re.compile(r"<clip>([^<>]{1,200})</clip>([^\n<]{0,500})", re.IGNORECASE)
_SIGHTING = re.compile(r"^[ \t*\-\[]{0,5}(\d{1,6}(?:\.\d{1,3})?) ?s\]?[ \t]*[:\-–][ \t]*(\S[^\n]{0,500})", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A reply taken apart."""

    thought: str
    """All that it says before its action, inside reasoning tags and outside."""
    action: Action
    text: str
    """The reply up to the end of its action, or all of it where there is none."""


def parse(reply: str, reasoning: str = "") -> Parsed:
    """Read a master's reply. Never raises; a reply without an action gives ``Invalid``.

    ``reasoning`` is thought that a server returned apart from the reply; it comes first.
    """
    thoughts, spoken, open_tag = _split_reasoning(reply)
    for start, end in spoken:
        found = _first_action(reply, start, end)
        if found is not None:
            action, begins, ends = found
            said = _thought(reply[:begins], thoughts, spoken)
            return Parsed(_join(reasoning, *said), action, reply[:ends])
    reason = (
        f"the reasoning tag <{open_tag}> was never closed"
        if open_tag
        else "the reply holds no complete action outside its reasoning"
    )
    said = _thought(reply, thoughts, spoken)
    return Parsed(_join(reasoning, *said), Invalid(reason), reply)


def _thought(reply: str, thoughts: list[tuple[int, int]], spoken: list[tuple[int, int]]) -> list[str]:
    """What a reply says that is no action, piece by piece: its reasoning, and prose up to the first tag of an
    action."""
    pieces = [(start, reply[start:end]) for start, end in thoughts]
    for start, end in spoken:
        tag = _ACTION_TAG.search(reply, start, end)
        pieces.append((start, reply[start : tag.start() if tag else end]))
    return [piece for _, piece in sorted(pieces)]


def _split_reasoning(reply: str) -> tuple[list[tuple[int, int]], list[tuple[int, int]], str]:
    """Spans of thought, spans outside it, and the reasoning tag left open (or empty)."""
    thoughts: list[tuple[int, int]] = []
    spoken: list[tuple[int, int]] = []
    opened: set[str] = set()
    inside = ""
    start = 0
    for tag in _REASONING_TAG.finditer(reply):
        closes, name = bool(tag[1]), tag[2].lower()
        if inside:
            if closes and name == inside:
                thoughts.append((start, tag.start()))
                inside, start = "", tag.end()
        elif not closes:
            spoken.append((start, tag.start()))
            opened.add(name)
            inside, start = name, tag.end()
        elif name not in opened and (name == TEMPLATE_TAG or not opened):
            thoughts, spoken = [(0, tag.start())], []
            opened.add(name)
            start = tag.end()
    (thoughts if inside else spoken).append((start, len(reply)))
    return thoughts, spoken, inside


def _first_action(reply: str, start: int, end: int) -> tuple[Action, int, int] | None:
    """The action, where it begins and where it ends."""
    opened: dict[str, re.Match[str]] = {}
    for tag in _ACTION_TAG.finditer(reply, start, end):
        name = tag[2].lower()
        if tag[3]:  # <request_grounding/>
            if name == GROUND_TAG and not tag[1]:
                return Relocate(""), tag.start(), tag.end()
        elif not tag[1]:
            opened[name] = tag
        elif name in opened:
            first = opened[name]
            return _action(name, reply[first.end() : tag.start()].strip()), first.start(), tag.end()
    return None


def has_action(reply: str) -> bool:
    """Whether the reply has come to a complete action, so that nothing after it matters."""
    return not isinstance(parse(reply).action, Invalid)


def restore_stop_tag(reply: str) -> str:
    """A reply that a server stopped at an action's closing tag and gave without that tag, with it."""
    *_, last = [None, *_ACTION_TAG.finditer(reply)]
    if last is None or last[1] or last[3]:
        return reply
    return f"{reply}</{last[2]}>"


def normalize_look_tag(reply: str, look_tag: str) -> str:
    """A reply that ends with a look, with that spelling of its tags; any other as it is."""
    *_, last = [None, *_ACTION_TAG.finditer(reply)]
    if last is None or not last[1] or last[2].lower() not in LOOK_TAGS or last.end() != len(reply.rstrip()):
        return reply
    opens = [tag for tag in _ACTION_TAG.finditer(reply) if not tag[1] and tag[2].lower() == last[2].lower()][-1]
    return f"{reply[: opens.start()]}<{look_tag}>{reply[opens.end() : last.start()]}</{look_tag}>"


def reasoning_prefix(prompt: str) -> str:
    """The opening reasoning tag that a chat template has written at the prompt's end; the reply then
    begins inside it. Empty where there is none."""
    found = _OPEN_THOUGHT.search(prompt)
    return found.group() if found else ""


def parse_clips(reply: str) -> list[tuple[str, str]]:
    """Labels and reasons that a grounding agent names, each label once, outside its reasoning:
    ``<clip>c01</clip> reason``, or ``{"clips": [{"label": "c01", "reason": "…"}]}``; a reply that is
    nothing but one word is a label too. Never raises. Labels are what the model wrote: look them up
    before use."""
    _, spans, _ = _split_reasoning(reply)
    text = "\n".join(reply[start:end] for start, end in spans).strip()
    opens, closes = text.find("{"), text.rfind("}")
    in_json = _clips_in_json(text[opens : closes + 1]) if 0 <= opens < closes else []
    if in_json:
        return in_json
    named = {label.strip(): reason.strip(" \t-–:") for label, reason in reversed(_CLIP.findall(text))}
    if not named and len(text.split()) == 1:
        return [(text.strip(" \t\r\n\"'.,[]()`*"), "")]
    return list(reversed(named.items()))


def _clips_in_json(text: str) -> list[tuple[str, str]]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return []
    clips = told.get("clips") if isinstance(told, dict) else None
    named = [clip for clip in clips if isinstance(clip, dict)] if isinstance(clips, list) else []
    return list({str(clip.get("label")): str(clip.get("reason", "")) for clip in named}.items())


def without_reasoning(reply: str) -> str:
    """The reply without its reasoning; all of it where nothing else is left."""
    _, spans, _ = _split_reasoning(reply)
    return "\n".join(reply[start:end].strip() for start, end in spans).strip() or reply.strip()


def says_not_shown(reply: str) -> bool:
    """Whether a vision agent says, as its prompt asks it to, that the frames do not show what was asked
    for."""
    return reply.lstrip(" *\"'").upper().startswith(NOT_SHOWN)


def parse_timed_lines(reply: str) -> list[tuple[float, str]]:
    """Seconds and texts of the lines ``75.0 s: …`` of a vision agent's reply. Never raises."""
    return [(float(time_s), told.strip()) for time_s, told in _SIGHTING.findall(reply)]


def _action(name: str, content: str) -> Action:
    if name == ANSWER_TAG:
        return Answer(content)
    if name == GROUND_TAG:
        return Relocate(content)
    return Look(content) if content else Invalid(f"the query inside <{name}> is empty")


def _join(*parts: str) -> str:
    return "\n".join(part.strip() for part in parts if part.strip())


def render(observation: Observation) -> str:
    """Write an observation as the text the master reads. Tags inside the data are defused, so a
    subtitle that says ``<answer>a1</answer>`` stays a subtitle."""
    match observation:
        case ClipObservation():
            return f"<New_clip>\n{render_located(observation)}\n</New_clip>"
        case VisionResult(text=text) | SystemNotice(text=text):
            return f"<information>\n{escape_tags(text)}\n</information>"


def render_located(located: ClipObservation) -> str:
    """The clip's label and the subtitles of its evidence window, without the enclosing tag."""
    clip = located.clip
    head = f"Clip: {clip.label} ({format_timestamp(clip.start_s)} to {format_timestamp(clip.end_s)})"
    return "\n".join([head, *(_render_clip(clip, len(located.clips) > 1) for clip in located.clips)])


def _render_clip(clip: Clip, titled: bool) -> str:
    lines = [f"[{format_timestamp(line.start_s)}] {escape_tags(line.text)}" for line in clip.subtitles]
    title = [f"Subtitles of {clip.label}:" if titled else "Subtitles:"]
    return "\n".join(title + (lines or ["(none)"]))


def escape_tags(text: str) -> str:
    """``text`` with the brackets of protocol tags, and of chat templates' ``<|…|>``, replaced, so that
    data cannot pose as protocol or as another turn; and with a mark for each half of a character, which
    JSON can hold and nobody can send on."""
    whole = text if text.isascii() else text.encode("utf-8", "replace").decode()
    return _ANY_TAG.sub("‹", whole)


def format_timestamp(time_s: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``, the way players show them."""
    minutes, seconds = divmod(int(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
