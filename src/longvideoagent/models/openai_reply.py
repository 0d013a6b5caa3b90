"""Replies in OpenAI's chat and text completions, as servers write them: whole or streamed, and in many forms."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from longvideoagent.core.actions import Tool
from longvideoagent.core.text import replace_surrogates
from longvideoagent.models.base import TextCallback
from longvideoagent.models.logprobs import TokenLogprobs, read_logprobs
from longvideoagent.models.openai_errors import MAX_DETAIL_CHARS, ServerError, is_page, page_text, read_error
from longvideoagent.models.openai_tools import ToolCall, reply_with_tags

MAX_REPLY_CHARS = 1_000_000
"""A server that sends more ignores max_tokens."""
CUT_REASONS = ("length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded")
"""Finish reasons of a reply that a limit has cut: OpenAI's, and those that servers pass on from other APIs."""
STOP_REASONS = ("stop", "stop_sequence")
BROKEN_REASONS = ("error", "abort", "insufficient_system_resource")
"""Finish reasons of a reply that the server could not finish: OpenRouter, vLLM, DeepSeek."""
FILTER_WORDS = ("content_filter", "safety", "recitation", "prohibited", "blocklist", "sensitive", "refusal")
"""In the finish reason of a reply that a filter has ended: OpenAI, Gemini, GLM, Anthropic."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A server's reply, whole or streamed, to a chat or a text completion."""

    text: str
    reasoning: str = ""
    is_stopped: bool = False
    """Whether it may have ended at a stop text of the request."""
    is_cut: bool = False
    """Whether max_tokens ended it."""
    is_complete: bool = True
    """False for a stream that ended without a finish reason."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    """Those of ``completion_tokens`` that were thoughts, if the server counts them."""
    cached_tokens: int = 0
    """Prompt tokens that were cached. Some servers do not count them in ``prompt_tokens``."""
    cache_read_tokens: int = 0
    """Those of ``prompt_tokens`` that were read from the server's prompt cache, which costs less."""
    cache_write_tokens: int = 0
    """Those of ``prompt_tokens`` that were written to it, which costs more at some providers."""
    has_choices: bool = True
    """False for a reply without a single choice."""
    is_filtered: bool = False
    """Whether a content filter has ended the reply."""
    refusal: str = ""
    """What the model says in place of a reply that it refuses."""
    calls: tuple[ToolCall, ...] = ()
    """The tools that the model calls."""
    error: ServerError | None = None
    """An error that came under HTTP 200."""
    stop_text: str = ""
    """The stop text that ended it, if the server names it."""
    logprobs: tuple[TokenLogprobs, ...] = ()
    """Those of its tokens, if they were asked for and the server gives them."""

    @property
    def why_no_text(self) -> str:
        """Why there is no text, and what to do; empty if the server does not say."""
        if self.refusal:
            return f"the model refuses ({self.refusal}); ask in other words, or name another model"
        if self.is_filtered:
            return "the server's content filter withheld the reply; ask in other words, or name another model"
        if self.calls:
            return (
                f"the model calls the tool {self.calls[0].name!r}, which was not offered, instead of writing a reply; "
                "start its server without a tool-call parser, or name another model"
            )
        return "" if self.has_choices else "a reply without choices; see the server's log, or name another model"

    @property
    def is_empty(self) -> bool:
        """Whether there is neither text nor reasoning, nor a call, nor a log-probability."""
        return not (self.text.strip() or self.reasoning.strip() or self.calls or self.logprobs)

    @property
    def num_chars(self) -> int:
        """Characters of text, reasoning and calls."""
        return len(self.text) + len(self.reasoning) + sum(len(call.arguments) for call in self.calls)

    @property
    def is_endless(self) -> bool:
        """Whether the server ignores max_tokens."""
        return self.num_chars > MAX_REPLY_CHARS


GrowthCallback = Callable[[Completion], None]
"""Called with a completion as far as it has come, each time it has grown."""


def growth_callback(on_text: TextCallback | None, tools: tuple[Tool, ...]) -> GrowthCallback | None:
    """What makes the text of a reply out of a growing completion."""
    if on_text is None:
        return None
    return lambda grown: on_text(grown.reasoning + reply_text(grown, tools, is_partial=True))


def reply_text(completion: Completion, tools: tuple[Tool, ...], *, is_partial: bool = False) -> str:
    """The reply in tags: the text, or the first call if tools were offered."""
    if not completion.calls or not tools:
        return completion.text
    return reply_with_tags(completion.text, completion.calls[0], tools, is_partial=is_partial)


def read_completion(answer: object) -> Completion:
    """A completion that came in one piece. Servers leave out different fields, so no field is required; a field that
    cannot be read is empty."""
    if isinstance(answer, str):  # not JSON
        is_stream = answer.lstrip().startswith(("data:", "event:"))  # of a server that streams unasked
        return _read_events(answer) if is_stream else Completion("", error=_text_error(answer))
    choice = _first_choice(answer)
    message = _object(choice, "message") or choice
    completion = _completion(_message_texts(message), choice, _object(answer, "usage"))
    return replace(
        completion,
        has_choices=bool(choice),
        calls=_calls(message),
        error=_error_in(answer, choice),
        logprobs=read_logprobs(choice),
    )


async def read_stream(chunks: AsyncIterable[object], on_growth: GrowthCallback) -> Completion:
    """A completion that comes in pieces; ``on_growth`` gets the completion so far after each."""
    parts = _StreamParts()
    async for chunk in chunks:
        if parts.add(chunk):
            on_growth(parts.grown())
        if parts.num_chars > MAX_REPLY_CHARS:
            break
    return parts.completion()


class ReplyFormat(NamedTuple):
    """Where a chat is posted, and how replies to it are read."""

    path: str
    read: Callable[[object], Completion]
    read_stream: Callable[[AsyncIterable[object], GrowthCallback], Awaitable[Completion]]


CHAT_COMPLETIONS = ReplyFormat("/chat/completions", read_completion, read_stream)


@dataclass
class _StreamParts:
    """What has come of a streamed completion."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: list[_CallPiece] = field(default_factory=list)
    has_choices: bool = False
    error: ServerError | None = None
    last_choice: Mapping[str, Any] = field(default_factory=dict)
    usage: Mapping[str, Any] = field(default_factory=dict)
    logprobs: tuple[TokenLogprobs, ...] = ()

    @property
    def num_chars(self) -> int:
        return len(self.text) + len(self.reasoning) + sum(len(call.arguments) for call in self.calls)

    def add(self, chunk: object) -> bool:
        """Whether the chunk adds to the text, the reasoning or a call."""
        choice = _first_choice(chunk)
        delta = _object(choice, "delta") or _object(choice, "message") or choice
        new = _message_texts(delta)
        self.text, self.reasoning = self.text + new.text, self.reasoning + new.reasoning
        self.refusal += new.refusal
        self.logprobs += read_logprobs(choice)
        self.has_choices = self.has_choices or bool(choice)
        has_call = self._add_calls(delta)
        self.error = self.error or _error_in(chunk, choice)
        if choice.get("finish_reason"):
            self.last_choice = choice
        self.usage = _object(chunk, "usage") or self.usage
        return bool(new.text or new.reasoning or has_call)

    def _add_calls(self, delta: Mapping[str, Any]) -> bool:
        """Whether the chunk holds pieces of calls."""
        pieces = _call_pieces(delta)
        for piece in pieces:
            call = self._call_of(piece)
            if call is None:
                self.calls.append(piece)
            else:
                call.name = call.name or piece.name
                call.arguments += piece.arguments
        return bool(pieces)

    def _call_of(self, piece: _CallPiece) -> _CallPiece | None:
        """The call that a piece continues: the one of its id, else of its position, else, without a name, the latest
        one. None if it begins another one."""
        same = [call for call in self.calls if piece.id and call.id == piece.id]
        if not same and piece.index is not None and not (piece.id and piece.name):
            same = [call for call in self.calls if call.index == piece.index]
        if not same and piece.index is None and not piece.name:
            same = self.calls
        return same[-1] if same else None

    def grown(self) -> Completion:
        """What has come, without the end of the reply."""
        return Completion(self.text, self.reasoning, calls=tuple(call.call for call in self.calls))

    def completion(self) -> Completion:
        """The completion that the chunks make up."""
        texts = _MessageTexts(self.text, self.reasoning, self.refusal)
        completion = _completion(texts, self.last_choice, self.usage)
        is_ended = bool(self.last_choice or self.usage or completion.is_endless)
        return replace(
            completion,
            is_complete=completion.is_complete and is_ended,
            has_choices=self.has_choices,
            calls=tuple(call.call for call in self.calls),
            error=self.error,
            logprobs=self.logprobs,
        )


def _read_events(text: str) -> Completion:
    """A stream of server-sent events that came in one piece. Raises JSONDecodeError."""
    parts = _StreamParts()
    for line in text.splitlines():
        name, _, data = line.partition(":")
        if name == "data" and data.strip() not in ("", "[DONE]"):
            parts.add(json.loads(data))
    return parts.completion()


def _text_error(text: str) -> ServerError | None:
    """The error of a reply that is not JSON; None if it is empty."""
    if is_page(text):
        return ServerError(f"a web page ({page_text(text)}) instead of a reply; check the URL, which often ends in /v1")
    error = read_error(text)
    return None if error is None else replace(error, message=f"a reply that is not JSON ({error.message})")


def _error_in(answer: object, choice: Mapping[str, Any]) -> ServerError | None:
    """The error in a response under HTTP 200: in a field of its own, in the choice, or in place of choices."""
    if isinstance(answer, list):
        return read_error(answer)
    if not isinstance(answer, dict):
        return None
    for place in (choice, answer):
        if place.get("error"):
            return read_error({"error": place["error"]})
    return None if answer.get("choices") else read_error(answer)


def _object(parent: object, name: str) -> Mapping[str, Any]:
    """The JSON object of that name inside another; empty if there is none."""
    child = parent.get(name) if isinstance(parent, dict) else None
    return child if isinstance(child, dict) else {}


def _first_choice(answer: object) -> Mapping[str, Any]:
    choices = answer.get("choices") if isinstance(answer, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


class _MessageTexts(NamedTuple):
    text: str
    reasoning: str
    refusal: str = ""


def _message_texts(message: Mapping[str, Any]) -> _MessageTexts:
    """The texts of a message, of a piece of one, or of a text completion."""
    content = _content_texts(message.get("content") or message.get("text"))
    reasoning = next((text for name in ("reasoning_content", "reasoning") if (text := _plain(message.get(name)))), "")
    reasoning = reasoning or _plain(message.get("reasoning_details"))  # OpenRouter
    return _MessageTexts(content.text, reasoning + content.reasoning, _plain(message.get("refusal")) + content.refusal)


def _content_texts(content: object) -> _MessageTexts:
    """The texts of a message's content: a string, or a list of parts with types, of which some are thoughts."""
    texts = {"text": "", "reasoning": "", "refusal": ""}
    for part in content if isinstance(content, list) else [content]:
        kind = str(part.get("type", "")) if isinstance(part, dict) else ""
        is_thought = "think" in kind or "reasoning" in kind  # Mistral, Anthropic, OpenAI's responses
        texts["refusal" if kind == "refusal" else "reasoning" if is_thought else "text"] += _plain(part)
    return _MessageTexts(**texts)


def _plain(value: object, depth: int = 4) -> str:
    """The text of a string, of an object with a text, or of a list of such; empty for anything else."""
    if isinstance(value, str):
        return replace_surrogates(value)
    if not depth:
        return ""
    if isinstance(value, list):
        return "".join(_plain(part, depth - 1) for part in value)
    if isinstance(value, dict):
        fields = ("text", "thinking", "reasoning", "summary", "refusal", "content")
        return next((text for name in fields if (text := _plain(value.get(name), depth - 1))), "")
    return ""


@dataclass
class _CallPiece:
    """A call in a message, or a piece of one."""

    id: str
    index: int | None
    """Its position among the calls, if the server gives it."""
    name: str
    arguments: str

    @property
    def call(self) -> ToolCall:
        return ToolCall(self.name, self.arguments)


def _call_pieces(message: Mapping[str, Any]) -> list[_CallPiece]:
    """The calls in a message, or pieces of them in a piece of one."""
    entries = message.get("tool_calls")
    if not isinstance(entries, list) or not entries:
        entries = [{"function": message.get("function_call"), "index": 0}]
    pieces = []
    for entry in entries:
        function = _object(entry, "function")
        if function:
            index, arguments = entry.get("index"), function.get("arguments")
            if not isinstance(arguments, str):
                arguments = "" if arguments is None else json.dumps(arguments)
            name = replace_surrogates(str(function.get("name") or ""))
            call_id = str(entry.get("id") or "")
            pieces.append(
                _CallPiece(call_id, index if isinstance(index, int) else None, name, replace_surrogates(arguments))
            )
    return pieces


def _calls(message: Mapping[str, Any]) -> tuple[ToolCall, ...]:
    return tuple(piece.call for piece in _call_pieces(message))


def _stop_text(choice: Mapping[str, Any]) -> str:
    """The text at which vLLM (stop_reason) or SGLang (matched_stop) says that it stopped; a token is a number there."""
    names = (choice.get("stop_reason"), choice.get("matched_stop"))
    return next((name for name in names if isinstance(name, str)), "")


def _completion(texts: _MessageTexts, choice: Mapping[str, Any], usage: Mapping[str, Any]) -> Completion:
    finish = str(choice.get("finish_reason") or "").lower()
    is_end_of_turn = choice.get("stop_reason", "") is None  # vLLM names the text it stopped at, or null
    prompt_tokens = _count(usage, "prompt_tokens")
    # xAI and Gemini count hidden thoughts, which cost as much as words, in the total only.
    completion_tokens = max(_count(usage, "completion_tokens"), _count(usage, "total_tokens") - prompt_tokens)
    details = _object(usage, "prompt_tokens_details")
    cached = _count(details, "cached_tokens")
    cached += _count(usage, "cache_read_input_tokens") + _count(usage, "cache_creation_input_tokens")
    return Completion(
        texts.text,
        texts.reasoning,
        finish in STOP_REASONS and not is_end_of_turn,
        finish in CUT_REASONS,
        is_complete=finish not in BROKEN_REASONS,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        reasoning_tokens=_count(_object(usage, "completion_tokens_details"), "reasoning_tokens"),
        cached_tokens=cached,
        stop_text=_stop_text(choice),
        cache_read_tokens=_count(details, "cached_tokens"),
        cache_write_tokens=_count(details, "cache_write_tokens"),  # OpenRouter
        is_filtered=any(word in finish for word in FILTER_WORDS),
        refusal=" ".join(texts.refusal.split())[:MAX_DETAIL_CHARS],
    )


def _count(counts: Mapping[str, Any], name: str) -> int:
    """A count of tokens; 0 if the server does not give it."""
    value = counts.get(name)
    return value if isinstance(value, int) else 0
