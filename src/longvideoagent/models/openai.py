"""Any server that speaks OpenAI's chat completions: OpenAI itself, vLLM, SGLang, Ollama, llama.cpp,
LM Studio, DashScope, xAI, OpenRouter.

One call is one request; trying again, waiting and remembering are ``models.retry``'s and
``models.cache``'s work. Keys are named by an environment variable and read when the client is made.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import openai

from longvideoagent.errors import ContextOverflowError, ModelError, ThrottledError, TransientError, UsageError
from longvideoagent.models.base import DEFAULTS, CallSettings
from longvideoagent.types import Message, Picture, Reply, Usage

LONGEST_REPLY = 1_000_000
"""Characters; a server that sends more ignores max_tokens."""
RETRIED_STATUSES = (408, 409, 425, 429)
_OVERFLOW_WORDS = ("context length", "context_length", "maximum context", "too many tokens", "prompt is too long")


@dataclass(frozen=True)
class OpenAIModel:
    """A model ``name`` on the server at ``base_url`` (None: OPENAI_BASE_URL, else OpenAI itself).

    ``continues`` says that the server takes vLLM's ``continue_final_message``; without it a last
    message of the assistant's is refused by most servers.
    """

    name: str
    base_url: str | None = None
    key_variable: str = "OPENAI_API_KEY"
    timeout_s: float = 120.0
    continues: bool = True

    @property
    def where(self) -> str:
        """The server, for messages to people."""
        return self.base_url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"

    @cached_property
    def _client(self) -> openai.AsyncOpenAI:
        key = os.environ.get(self.key_variable)
        if not key and self.base_url is None and not os.environ.get("OPENAI_BASE_URL"):
            raise UsageError(f"{self.key_variable} is not set; export it, or name a server: openai:{self.name}@URL")
        return openai.AsyncOpenAI(
            api_key=key or "none",  # local servers want none, but the client wants one
            base_url=self.base_url,
            timeout=self.timeout_s,
            max_retries=0,
            http_client=openai.DefaultAioHttpClient(),
        )

    async def complete(self, messages: Sequence[Message], settings: CallSettings = DEFAULTS) -> Reply:
        """One request. Raises TransientError where another try may help, else ModelError."""
        body: dict[str, Any] = {
            "model": self.name,
            "messages": [_wire(message) for message in messages],
            "temperature": settings.temperature,
            "max_tokens": settings.max_tokens,
        }
        if settings.stop:
            body["stop"] = list(settings.stop)
        try:
            answer = await self._client.chat.completions.create(**body, extra_body=self._extra(messages, settings))
        except openai.APITimeoutError as error:
            raise TransientError(f"{self.where}: no reply within {self.timeout_s:.0f} s") from error
        except openai.APIStatusError as error:
            raise self._refusal(error) from error
        except openai.APIConnectionError as error:
            raise TransientError(f"{self.where}: {_cause(error)}") from error
        except (openai.OpenAIError, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise TransientError(f"{self.where}: a reply that cannot be read ({_cause(error)})") from error
        return self._read(answer)

    async def close(self) -> None:
        """Close the connections; the next request opens others."""
        client = self.__dict__.pop("_client", None)
        if client is not None:
            await client.close()

    def _extra(self, messages: Sequence[Message], settings: CallSettings) -> Mapping[str, Any]:
        extra = dict(settings.extra_body)
        if self.continues and messages[-1]["role"] == "assistant":
            extra |= {"continue_final_message": True, "add_generation_prompt": False}
        if settings.choices:
            extra.setdefault("guided_choice", list(settings.choices))
        return extra

    def _refusal(self, error: openai.APIStatusError) -> ModelError:
        status, told = error.status_code, f"{self.where}: HTTP {error.status_code}, {_cause(error)}"
        if status in (401, 403):
            return ModelError(f"{self.where}: HTTP {status}, the key in {self.key_variable} was refused")
        if status == 404:
            return ModelError(f"{told}; is {self.name!r} served there?")
        if status in (400, 413, 422) and any(word in str(error).lower() for word in _OVERFLOW_WORDS):
            return ContextOverflowError(told)
        if status in RETRIED_STATUSES or status >= 500:
            kind = ThrottledError if status == 429 else TransientError
            return kind(told, _retry_after_s(error.response.headers))
        return ModelError(told)

    def _read(self, answer: Any) -> Reply:
        """The reply inside a completion. Servers differ in what they leave out, so nothing is taken
        for granted."""
        choices = getattr(answer, "choices", None)
        message = getattr(choices[0], "message", None) if isinstance(choices, list) and choices else None
        text = getattr(message, "content", None) or ""
        reasoning = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None) or ""
        if not isinstance(text, str) or not isinstance(reasoning, str) or not (text.strip() or reasoning.strip()):
            raise TransientError(f"{self.where}: an empty reply")
        if len(text) + len(reasoning) > LONGEST_REPLY:
            raise ModelError(f"{self.where}: a reply of {len(text) + len(reasoning)} characters; it ignores max_tokens")
        used = getattr(answer, "usage", None)
        spent = Usage(1, getattr(used, "prompt_tokens", 0) or 0, getattr(used, "completion_tokens", 0) or 0)
        return Reply(text, reasoning, usage=spent)


def _wire(message: Message) -> dict[str, Any]:
    content = message["content"]
    if isinstance(content, str):
        return {"role": message["role"], "content": content}
    parts: list[dict[str, Any]] = []
    for part in content:
        if isinstance(part, Picture):
            parts.append({"type": "image_url", "image_url": {"url": data_url(part)}})
        else:
            parts.append({"type": "text", "text": part})
    return {"role": message["role"], "content": parts}


@lru_cache(maxsize=512)
def data_url(picture: Picture) -> str:
    """The picture as a data URL, built once for as long as it is in use."""
    return "data:image/jpeg;base64," + base64.b64encode(picture.jpeg).decode("ascii")


def _cause(error: BaseException) -> str:
    """The innermost reason, on one line and not too long."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())[:300] or type(error).__name__


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The Retry-After header in seconds; dates and nonsense count as absent."""
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return None
