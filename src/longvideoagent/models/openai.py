"""Any server that speaks OpenAI's chat completions: OpenAI itself, vLLM, SGLang, Ollama, llama.cpp,
LM Studio, DashScope, xAI, OpenRouter.

One call is one request; trying again, waiting and remembering are ``models.retry``'s and
``models.cache``'s work. Keys are named by an environment variable and read when the client is made.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import openai
from pydantic_core import to_json

from longvideoagent.core.protocol import TEMPLATE_TAG, reasoning_prefix, restore_stop_tag
from longvideoagent.core.types import Message, Reply, Usage
from longvideoagent.errors import ContextOverflowError, ModelError, ThrottledError, TransientError, UsageError, one_line
from longvideoagent.models.base import DEFAULTS, CallSettings, TextCallback, TokenPrice
from longvideoagent.models.openai_format import (
    Completion,
    chat_body,
    completion_body,
    read_stream,
    read_whole,
    text_bytes,
    without_pictures,
)

RETRIED_STATUSES = (408, 409, 425, 429)
OPTIONAL_FIELDS = ("temperature", "max_tokens", "stop", "response_format", "stream_options")
"""What some servers and models refuse; it is then left out, or sent under its other name, and the
request made again."""
TEMPLATE_TOKENS = 200
"""More than any chat template adds around one message."""
_OVERFLOW_WORDS = ("context length", "context_length", "maximum context", "too many tokens", "prompt is too long")
_REFUSAL_WORDS = ("unsupported", "not support", "unrecognized", "unexpected", "not allowed", "unknown")


@dataclass(frozen=True)
class OpenAIModel:
    """A model ``name`` on the server at ``base_url`` (None: OPENAI_BASE_URL, else OpenAI itself)."""

    name: str
    base_url: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    timeout_s: float = 120.0
    reasoning: bool = False
    """Says that the model thinks before it speaks. Its server must then not stop at an action's tag,
    which may be talk, and a reply that closes a thought it did not open is put right."""
    completion_template: str | None = None
    """The chat template written out, with ``$prompt`` for the user's text: the prompt is then sent to
    the server's completions and not to its chat. Nothing else gives a thinking model's continuation
    the form it was trained in, since chat templates take earlier thoughts apart."""
    price: TokenPrice | None = None
    _refused: set[str] = field(default_factory=set)
    _images_verified: list[bool] = field(default_factory=list)
    """Holds something once pictures are known to have been taken notice of."""

    @property
    def where(self) -> str:
        """The server, for messages to people."""
        return self.base_url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"

    @cached_property
    def _client(self) -> openai.AsyncOpenAI:
        key = os.environ.get(self.api_key_env, "").strip()
        if not key.isascii():
            raise UsageError(f"{self.api_key_env} holds marks that no key has; export it again")
        if not key and self.base_url is None and not os.environ.get("OPENAI_BASE_URL"):
            raise UsageError(f"{self.api_key_env} is not set; export it, or name a server: openai:{self.name}@URL")
        return openai.AsyncOpenAI(
            api_key=key or "none",  # local servers want none, but the client wants one
            base_url=self.base_url,
            timeout=self.timeout_s,
            max_retries=0,
            http_client=openai.DefaultAioHttpClient(),
        )

    async def complete(
        self, messages: Sequence[Message], settings: CallSettings = DEFAULTS, on_text: TextCallback | None = None
    ) -> Reply:
        """One request. Raises TransientError where another try may help, else ModelError."""
        stop_at_action = settings.stop_at_action and not self.reasoning
        asked = replace(settings, stop_at_action=stop_at_action)
        if self.completion_template is None:
            body = chat_body(self.name, messages, asked)
            opened = ""
        else:
            body = completion_body(self.name, self.completion_template, messages, asked)
            opened = reasoning_prefix(body["prompt"])
        said = await self._send(body, on_text)
        if not said.is_complete:
            raise TransientError(f"{self.where}: a reply that breaks off")
        if not said.text.strip() and not said.reasoning.strip():
            raise TransientError(f"{self.where}: an empty reply")
        probed = Usage() if self._images_verified else await self._verify_image_input(body, said)
        text = restore_stop_tag(said.text) if stop_at_action and said.is_stopped else said.text
        if not opened and messages[-1]["role"] == "user" and self._began_in_thought(said):
            opened = f"<{TEMPLATE_TAG}>\n"
        usage = Usage(1, said.prompt_tokens, said.completion_tokens) + probed
        return Reply(
            opened + text, said.reasoning, usage=replace(usage, usd=self.price.usd(usage) if self.price else 0)
        )

    async def close(self) -> None:
        """Close the connections; the next request opens others."""
        client = self.__dict__.pop("_client", None)
        if client is not None:
            await client.close()

    def _began_in_thought(self, said: Completion) -> bool:
        """Whether the chat template opened a thought that the reply closes, or is still in."""
        if not self.reasoning or said.reasoning or f"<{TEMPLATE_TAG}>" in said.text:
            return False
        return f"</{TEMPLATE_TAG}>" in said.text or said.is_cut

    async def _verify_image_input(self, body: Mapping[str, Any], said: Completion) -> Usage:
        """Some servers drop the pictures that a text model is sent, and it then makes things up. Where
        the count of tokens leaves it open, the text is sent alone: if it counts the same, nothing was
        seen. Gives what the check cost; raises ModelError where nothing was seen."""
        blind = without_pictures(body)
        if blind is None or not said.prompt_tokens:
            return Usage()
        cost = Usage()
        if said.prompt_tokens <= text_bytes(blind) + TEMPLATE_TOKENS:
            alone = await self._send({**blind, "max_tokens": 1}, None)
            cost = Usage(1, alone.prompt_tokens, alone.completion_tokens)
            if alone.prompt_tokens == said.prompt_tokens:
                raise ModelError(f"{self.where}: {self.name!r} takes no notice of pictures; name a model that sees")
        self._images_verified.append(True)
        return cost

    async def _send(self, body: Mapping[str, Any], on_text: TextCallback | None) -> Completion:
        if on_text is not None:
            body = {**body, "stream": True, "stream_options": {"include_usage": True}}
        while True:
            accepted = _without(body, self._refused)
            try:
                async with asyncio.timeout(self.timeout_s):
                    said = await self._request(accepted, on_text)
            except (openai.APITimeoutError, TimeoutError) as error:
                is_unreached = "Connect" in type(error.__cause__).__name__
                told = _cause(error) if is_unreached else f"no reply within {self.timeout_s:.0f} s"
                raise TransientError(f"{self.where}: {told}") from error
            except openai.APIStatusError as error:
                refused = _refused_field(error, accepted)
                if refused is None:
                    raise self._refusal(error) from error
                self._refused.add(refused)
            except openai.APIConnectionError as error:
                raise TransientError(f"{self.where}: {_cause(error)}") from error
            except (openai.OpenAIError, json.JSONDecodeError, UnicodeDecodeError) as error:
                raise TransientError(f"{self.where}: a reply that cannot be read ({_cause(error)})") from error
            else:
                return said

    async def _request(self, body: Mapping[str, Any], on_text: TextCallback | None) -> Completion:
        # Posted as bytes: the client's typed methods walk through every message once more and build
        # models of every reply, which takes as long as all the rest; and it takes twice as long to write
        # a megabyte of pictures as JSON.
        path = "/chat/completions" if "messages" in body else "/completions"
        content = to_json(body)
        if on_text is None:
            said = read_whole(await self._client.post(path, cast_to=object, content=content))
        else:
            chunks = openai.AsyncStream[object]
            opened = self._client.post(path, cast_to=object, content=content, stream=True, stream_cls=chunks)
            said = await read_stream(await opened, on_text)
        if said.is_endless:
            raise ModelError(f"{self.where}: a reply of {said.length} characters or more; it ignores max_tokens")
        return said

    def _refusal(self, error: openai.APIStatusError) -> ModelError:
        status, told = error.status_code, f"{self.where}: HTTP {error.status_code}, {_cause(error)}"
        if status in (401, 403):
            return ModelError(f"{self.where}: HTTP {status}, the key in {self.api_key_env} was refused")
        if status == 404:
            return ModelError(f"{told}; is {self.name!r} served there?")
        if status in (400, 413, 422) and any(word in str(error).lower() for word in _OVERFLOW_WORDS):
            return ContextOverflowError(told)
        if status in RETRIED_STATUSES or status >= 500:
            kind = ThrottledError if status == 429 else TransientError
            return kind(told, _retry_after_s(error.response.headers))
        return ModelError(told)


def _without(body: Mapping[str, Any], refused: set[str]) -> dict[str, Any]:
    """The body in the form a server takes: OpenAI's thinking models call max_tokens otherwise."""
    accepted = {name: value for name, value in body.items() if name not in refused}
    if "max_tokens" in refused and "max_tokens" in body and "messages" in body:
        accepted["max_completion_tokens"] = body["max_tokens"]
    return accepted


def _refused_field(error: openai.APIStatusError, body: Mapping[str, Any]) -> str | None:
    """The optional field that a server names as the reason of its refusal, or None."""
    told = str(error).lower()
    if error.status_code not in (400, 422) or any(word in told for word in _OVERFLOW_WORDS):
        return None
    if not any(word in told for word in _REFUSAL_WORDS):
        return None
    named = [name for name in OPTIONAL_FIELDS if name in body and name in told]
    return named[0] if named else None


def _cause(error: BaseException) -> str:
    """The innermost reason, on one line and not too long."""
    while error.__cause__ is not None:
        error = error.__cause__
    return one_line(error) or type(error).__name__


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The Retry-After header in seconds; dates and nonsense count as absent."""
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return None
