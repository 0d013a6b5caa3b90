"""Models on a server with Anthropic's messages API: Anthropic itself, and others that offer ``POST /v1/messages``.

Its endpoint for OpenAI's chat completions caches no prompts, returns no thoughts and follows no schema. Connections,
retries, errors and checks are those of ``models.openai``, whose client carries any path and bytes; what differs is how
a request is written and a reply is read.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import openai

from longvideoagent.core.types import Message
from longvideoagent.errors import ContinuationRefusedError, ModelError, UsageError
from longvideoagent.models.anthropic_format import MessagesAdapter, messages_body
from longvideoagent.models.anthropic_reply import read_message, read_message_stream
from longvideoagent.models.base import CallSettings, ModelOptions
from longvideoagent.models.openai import OpenAIModel
from longvideoagent.models.openai_errors import ServerError
from longvideoagent.models.openai_reply import ReplyFormat
from longvideoagent.models.openai_request import RequestAdapter
from longvideoagent.models.spec import ModelSpec

API_VERSION = "2023-06-01"
"""Version 2026-10-21 refuses sampling options of every model; this one takes them where the model does."""
MESSAGES = ReplyFormat("/messages", read_message, read_message_stream)
NO_PREFILL = 'it continues no reply; set style = "turns" in the team file'


def load_model(spec: ModelSpec, options: ModelOptions) -> AnthropicModel:
    """The model of ``anthropic:NAME[@URL]``. Raises UsageError for a chat template, which this API does not take."""
    if options.completion_template is not None:
        raise UsageError(f"{spec}: takes no completion_template and no style raw; leave it out, or name another model")
    return AnthropicModel(
        spec.name,
        _base_url(spec.server_url),
        options.api_key_env or spec.row.key_env,
        options.timeout_s,
        options.reasoning,
        price=options.price,
    )


def _base_url(url: str) -> str:
    """The URL in front of ``/messages``, from one that ends in ``/v1`` or does not."""
    url = url.rstrip("/").removesuffix("/messages")
    return url if url.endswith("/v1") else f"{url}/v1"


@dataclass
class AnthropicModel(OpenAIModel):
    """A model ``name`` on the server at ``base_url``. With ``reasoning`` it is asked to think, and for a summary of its
    thoughts; some models think in any case."""

    api_key_env: str = "ANTHROPIC_API_KEY"
    reply_format = MESSAGES
    _adapter: RequestAdapter = field(default_factory=MessagesAdapter, init=False, repr=False)

    def request_body(self, messages: Sequence[Message], settings: CallSettings) -> dict[str, Any]:
        """The body of a request."""
        return messages_body(self.name, messages, settings, thinks=self.reasoning)

    @property
    def _headers(self) -> dict[str, Any]:
        key = os.environ.get(self.api_key_env, "").strip()
        is_provider = ModelSpec("anthropic").server_url == self.base_url
        return {
            "anthropic-version": API_VERSION,
            **({"x-api-key": key} if key else {}),
            # Other servers, such as vLLM, read the key from the header of OpenAI's API; Anthropic refuses two keys.
            **({"Authorization": openai.Omit()} if is_provider else {}),
        }

    def _model_error(self, error: ServerError) -> ModelError:
        if error.status == 400 and "prefill" in error.message:
            return ContinuationRefusedError(f"{self._error_text(error)}; {NO_PREFILL}")
        if error.status == 404 and "model" not in error.message:
            fix = f"for a server with OpenAI's chat completions write openai:{self.name}@URL"
            return ModelError(f"{self._error_text(error)}; {fix}")
        return super()._model_error(error)
