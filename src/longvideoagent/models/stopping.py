"""Where a reply ends that may end at its action: what a server left out there, and observations of the model's own."""

from __future__ import annotations

from typing import NamedTuple

from longvideoagent.core.protocol import has_action, restore_stop_tag
from longvideoagent.core.reasoning import split_reasoning
from longvideoagent.models.base import CallSettings
from longvideoagent.models.openai_reply import Completion

MAX_TAG_TOKENS = 16
"""More than the tag that begins an observation has in any tokenizer."""


class EndedReply(NamedTuple):
    """A reply as far as it counts."""

    text: str
    is_stopped: bool
    """Whether a stop text ended it, and not the model."""
    warnings: tuple[str, ...] = ()


def end_reply(name: str, text: str, settings: CallSettings) -> EndedReply:
    """The reply up to its first beginning of an observation outside its thoughts, or all of it.

    Args:
        name: The model, for the warning.
        text: The reply.
        settings: How the model was called. Nothing ends a reply that may not end at its action.
    """
    if settings.stop_at_action:
        starts = _starts(settings)
        for span in split_reasoning(text).outside:
            found = [(index, stop) for stop in starts if (index := text.find(stop, *span)) >= 0]
            if found:
                index, stop = min(found)
                return EndedReply(text[: index + len(stop)], True, (_warning(name, stop),))
    return EndedReply(text, False)


def may_end(text: str, settings: CallSettings) -> bool:
    """Whether generation may stop here: after an action, or at the beginning of an observation."""
    return has_action(text, anywhere=settings.actions_anywhere) or end_reply("", text, settings).is_stopped


def end_server_reply(name: str, completion: Completion, text: str, settings: CallSettings) -> EndedReply:
    """The same for the reply of a server, which leaves out the text at which it stopped.

    Args:
        name: The model.
        completion: What the server sent.
        text: The reply in it.
        settings: How the model was called.
    """
    if not settings.stop_at_action or not completion.is_stopped:
        return end_reply(name, text, settings)
    if is_stopped_at_once(completion, settings) and not completion.stop_text:
        return EndedReply("", True, (f"a reply of {name!r} was stopped at once, at a tag that cannot begin a reply",))
    if completion.stop_text in _starts(settings):
        return EndedReply(text + completion.stop_text, True, (_warning(name, completion.stop_text),))
    restored = restore_stop_tag(text)
    ended = end_reply(name, restored, settings)
    return ended._replace(is_stopped=ended.is_stopped or restored != text)


def is_stopped_at_once(completion: Completion, settings: CallSettings) -> bool:
    """Whether a server stopped a reply at its first words, so that nothing of it is left. A model that has ended its
    turn at once has written one token."""
    if not completion.is_empty or not completion.is_stopped or not settings.stop_at_action:
        return False
    is_tag = 1 < completion.completion_tokens <= MAX_TAG_TOKENS and not completion.reasoning_tokens
    return completion.stop_text in settings.stop_texts or is_tag


def _starts(settings: CallSettings) -> list[str]:
    """The stop texts that begin observations."""
    return [stop for stop in settings.stop_texts if not stop.startswith("</")]


def _warning(name: str, stop: str) -> str:
    return f"a reply of {name!r} was stopped at {stop}, which only the loop writes"
