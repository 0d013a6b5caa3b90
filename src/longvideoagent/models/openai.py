"""Models on any server with OpenAI's chat completions: OpenAI itself, vLLM, SGLang, Ollama, llama.cpp,
LM Studio, DashScope, xAI, OpenRouter.

One call is one request; ``models.retry`` retries and waits, ``models.cache`` caches. The key is read from an
environment variable when the client is made.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar
from urllib.parse import urlsplit

import openai
from pydantic_core import to_json

from longvideoagent.core.protocol import reasoning_prefix
from longvideoagent.core.reasoning import TEMPLATE_TAG
from longvideoagent.core.types import Message, Reply, Usage
from longvideoagent.errors import (
    ContextOverflowError,
    ContinuationRefusedError,
    ImagesRefusedError,
    LogprobsMissingError,
    ModelError,
    ThrottledError,
    ToolsRefusedError,
    TransientError,
    UnreachableError,
    UsageError,
)
from longvideoagent.log import logger
from longvideoagent.models.base import (
    DEFAULT_CALL_SETTINGS,
    CallSettings,
    ModelOptions,
    TextCallback,
    TokenPrice,
    charge,
    cut_warning,
    cut_warnings,
    with_charge,
)
from longvideoagent.models.logprobs import with_logprobs
from longvideoagent.models.openai_errors import ServerError, header_wait_s, is_page, read_error
from longvideoagent.models.openai_format import (
    chat_body,
    completion_body,
    is_prompt_cut,
    num_text_bytes,
    without_images,
)
from longvideoagent.models.openai_http import bound_response, cause, is_unreached, read_response, too_large
from longvideoagent.models.openai_reply import (
    CHAT_COMPLETIONS,
    Completion,
    GrowthCallback,
    ReplyFormat,
    growth_callback,
    read_completion,
    reply_text,
)
from longvideoagent.models.openai_request import RequestAdapter
from longvideoagent.models.secrets import hide_secrets, secret_values, secrets_hidden
from longvideoagent.models.spec import ModelSpec, missing_key
from longvideoagent.models.stopping import end_server_reply, is_stopped_at_once

MAX_TEMPLATE_TOKENS = 200
"""More than any chat template adds around one message."""
BARE_URL = "add /v1 to the URL, unless the server has its API elsewhere"
CONTINUE_REPLY = "use a server with vLLM's continue_final_message, or a preset with a completion template"
FIT_CONTEXT = "raise the server's context length, name a model with a longer one, or lower max_frames of [vision]"
RAISE_CONTEXT = "raise its context length (Ollama: OLLAMA_CONTEXT_LENGTH or num_ctx; llama.cpp: -c)"


def load_model(spec: ModelSpec, options: ModelOptions) -> OpenAIModel:
    """The model of ``openai:NAME[@URL]``, or of another back end with OpenAI's chat completions."""
    return OpenAIModel(
        spec.name,
        (spec.url or None) if spec.row.url_env else spec.server_url,
        options.api_key_env or spec.row.key_env,
        options.timeout_s,
        options.reasoning,
        options.completion_template,
        options.price,
        spec.row.start,
        spec.backend == "openrouter" and spec.name.startswith("anthropic/"),
    )


@dataclass
class OpenAIModel:
    """A model ``name`` on the server at ``base_url`` (None: OPENAI_BASE_URL, else OpenAI itself). An empty name is
    replaced with that of the server's first model at the first request."""

    name: str
    base_url: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    timeout_s: float = 120.0
    reasoning: bool = False
    """Whether the model thinks before it answers. Its server then must not stop at an action's tag, which may stand
    in a thought, and a reply that closes a thought without opening it gets the opening tag."""
    completion_template: str | None = None
    """The chat template written out, with ``$prompt`` for the user's text: the prompt is then sent to the server's
    text completions instead of its chat. Only this gives a continued reply of a reasoning model the form that it was
    trained in, since chat templates remove earlier thoughts."""
    price: TokenPrice | None = None
    reply_format: ClassVar[ReplyFormat] = CHAT_COMPLETIONS
    start: str = ""
    """The command that starts the server, for messages to people; empty if there is none to name."""
    marks_cache: bool = False
    """Whether the server caches only marked prompts, as OpenRouter does those for Anthropic's models."""
    _adapter: RequestAdapter = field(default_factory=RequestAdapter, init=False, repr=False)
    images_verified: bool = field(default=False, init=False, repr=False)
    """Whether the model is known to read images."""
    _client: openai.AsyncOpenAI | None = field(default=None, init=False, repr=False, compare=False)
    """None until the first request, and after ``close``."""

    @property
    def server_url(self) -> str:
        """The server's URL, for messages to people."""
        return self._spec.server_url

    @property
    def _spec(self) -> ModelSpec:
        return ModelSpec("openai", self.name, self.base_url or "")

    def _connection_error(self, error: openai.APIConnectionError | TimeoutError) -> TransientError:
        """The error for a connection that cannot be opened, that breaks, or on which nothing comes in time."""
        if not is_unreached(error) and isinstance(error, openai.APITimeoutError | TimeoutError):
            fix = "raise timeout_s in the team file if the server is slow"
            return TransientError(f"{self.server_url}: no reply within {self.timeout_s:.0f} s; {fix}")
        kind = UnreachableError if is_unreached(error) else TransientError
        fix = f"start it with {self.start!r}, or fix its URL" if self.start else "start the server, or fix its URL"
        if not self._spec.is_on_this_machine:
            fix = "check the network and the URL"
        return kind(f"{self.server_url}: {cause(error)}; {fix}")

    @property
    def _key(self) -> str:
        return os.environ.get(self.api_key_env, "").strip()

    def _connect(self) -> openai.AsyncOpenAI:
        """Create the client, unless there is one. Raises UsageError if its key is missing or damaged."""
        if self._client is not None:
            return self._client
        key = self._key
        if not key.isascii():
            raise UsageError(f"{self.api_key_env} holds characters that no key has; export it again")
        if not key and self.base_url is None and not os.environ.get("OPENAI_BASE_URL"):
            raise UsageError(missing_key(self._spec, self.api_key_env))
        self._client = openai.AsyncOpenAI(
            api_key=key or "none",  # local servers need none, but the client does
            base_url=self.base_url,
            timeout=self.timeout_s,
            max_retries=0,
            http_client=openai.DefaultAioHttpClient(event_hooks={"response": [bound_response]}),
        )
        return self._client

    async def complete(
        self,
        messages: Sequence[Message],
        settings: CallSettings = DEFAULT_CALL_SETTINGS,
        on_text: TextCallback | None = None,
    ) -> Reply:
        """The reply to one request. Raises TransientError if a retry may help, else ModelError."""
        await self.find_name()
        settings = replace(settings, stop_at_action=settings.stop_at_action and not self.reasoning)
        body = self.request_body(messages, settings)
        prefix = reasoning_prefix(body.get("prompt", ""))
        completion = await self.send(body, growth_callback(on_text, settings.tools))
        usage = self._usage(completion)
        if completion.is_empty and completion.is_cut:  # a retry would be cut again
            problem = f"{self.server_url}: {cut_warning(self.name, settings, 'hidden reasoning')}"
            kind = LogprobsMissingError if settings.top_logprobs else ModelError
            raise charge(kind(problem), usage)
        if completion.is_empty and not is_stopped_at_once(completion, settings):
            raise charge(TransientError(f"{self.server_url}: an empty reply"), usage)
        if not self.images_verified:
            usage += await self.verify_image_input(body, completion)
        if not prefix and messages[-1]["role"] == "user" and self._began_in_thought(completion):
            prefix = f"<{TEMPLATE_TAG}>\n"
        text = prefix + reply_text(completion, settings.tools)
        text, is_stopped, warnings = end_server_reply(self.name, completion, text, settings)
        is_truncated = completion.is_cut or completion.is_filtered or is_stopped
        warnings += cut_warnings(self.name, text, settings) if completion.is_cut and not is_stopped else ()
        warnings += self._warnings(body, completion, settings)
        reply = Reply(text, completion.reasoning, usage=usage, warnings=warnings, is_truncated=is_truncated)
        return with_logprobs(reply, completion.logprobs)

    def _usage(self, completion: Completion) -> Usage:
        usage = Usage(1, completion.prompt_tokens, completion.completion_tokens)
        read, written = completion.cache_read_tokens, completion.cache_write_tokens
        usd = self.price.usd(usage, cache_read_tokens=read, cache_write_tokens=written) if self.price else 0
        return replace(usage, usd=usd)

    def _warnings(self, body: Mapping[str, Any], completion: Completion, settings: CallSettings) -> tuple[str, ...]:
        """What the server and the model have done to a prompt or a reply that still can be used."""
        warnings = []
        if is_prompt_cut(body, completion):
            num_read = round(completion.prompt_tokens, -3) or completion.prompt_tokens
            warnings.append(
                f"{self.server_url} has cut the prompt of {self.name!r} to about {num_read:,} tokens; {RAISE_CONTEXT}"
            )
        if completion.is_filtered:
            warnings.append(f"{self.server_url}: its content filter has cut a reply of {self.name!r}")
        if completion.calls and not settings.tools:
            name = completion.calls[0].name
            warnings.append(f"{self.name!r} calls the tool {name!r}, which was not offered; ignored")
        elif len(completion.calls) > 1:
            warnings.append(f"{self.name!r} calls {len(completion.calls)} tools at once; only the first counts")
        return tuple(warnings)

    def request_body(self, messages: Sequence[Message], settings: CallSettings) -> dict[str, Any]:
        """The body of a request: a chat completion, or a text completion with the template that is written out."""
        if self.completion_template is None:
            return chat_body(self.name, messages, settings, marks_cache=self.marks_cache)
        return completion_body(self.name, self.completion_template, messages, settings)

    async def find_name(self) -> None:
        """Take the name of the server's first model if none is given. Raises ModelError if the server is not there, or
        lists none."""
        self.name = self.name or await self._first_model()

    async def _first_model(self) -> str:
        try:
            entries = await self._get_models()
        except (openai.APIConnectionError, TimeoutError) as error:
            raise self._connection_error(error) from error
        except (openai.OpenAIError, ValueError) as error:
            problem = hide_secrets(cause(error), [self._key])
            raise ModelError(f"{self.server_url}/models: {problem}; check the URL, which often ends in /v1") from error
        names: list[str] = [entry["id"] for entry in entries if isinstance(entry.get("id"), str)]
        if not names:
            raise TransientError(f"{self.server_url}: lists no models; start the server, or name a model: NAME@URL")
        return names[0]

    async def list_models(self) -> list[dict[str, Any]]:
        """What the server says about its models (``GET /models``); empty if it says nothing."""
        try:
            return await self._get_models()
        except (openai.OpenAIError, TimeoutError, ValueError):
            return []

    async def _get_models(self) -> list[dict[str, Any]]:
        async with asyncio.timeout(self.timeout_s):
            answer = await self._connect().get("/models", cast_to=object, options={"headers": self._headers})
        data = answer.get("data") if isinstance(answer, dict) else None
        return [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []

    def is_refused(self, field: str) -> bool:
        """Whether the server has refused a field of a request."""
        return field in self._adapter.refused_fields

    @property
    def adaptations(self) -> tuple[str, ...]:
        """What the server has refused so far, and what is done about it; one line each."""
        return self._adapter.summary

    @property
    def _headers(self) -> dict[str, Any]:
        """Headers of every request, besides those of the client."""
        return {}

    async def close(self) -> None:
        """Close the connections; the next request opens others."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _began_in_thought(self, completion: Completion) -> bool:
        """Whether the server's chat template opened a thought that the reply closes, or has not closed yet. A template
        that is written out shows it itself."""
        if not self.reasoning or self.completion_template is not None:
            return False
        is_opened = bool(completion.reasoning) or f"<{TEMPLATE_TAG}>" in completion.text
        return not is_opened and (f"</{TEMPLATE_TAG}>" in completion.text or completion.is_cut)

    async def verify_image_input(self, body: Mapping[str, Any], completion: Completion) -> Usage:
        """Check that the model reads images: some servers drop the images of a text model, which then makes things up.
        If the count of prompt tokens does not prove it, the text is sent alone; an equal count means that the images
        were dropped. Returns the usage of that check. Raises ModelError if images were dropped."""
        text_body = without_images(body)
        if text_body is None or not completion.prompt_tokens:
            return Usage()
        usage = Usage()
        if completion.prompt_tokens <= num_text_bytes(text_body) + MAX_TEMPLATE_TOKENS:
            text_only = await with_charge(self.send({**text_body, "max_tokens": 1}), self._usage(completion))
            usage = self._usage(text_only)
            if text_only.prompt_tokens == completion.prompt_tokens:
                problem = f"{self.server_url}: {self.name!r} ignores images; name a model that reads them"
                raise charge(ImagesRefusedError(problem), usage + self._usage(completion))
        self.images_verified = True
        return usage

    async def send(self, body: Mapping[str, Any], on_growth: GrowthCallback | None = None) -> Completion:
        """The server's reply to one request, which may be repeated in the form that the server accepts. Raises
        TransientError if a retry may help, else ModelError."""
        with secrets_hidden([self._key, *secret_values(body)]):
            return await self._send(body, on_growth)

    async def _send(self, body: Mapping[str, Any], on_growth: GrowthCallback | None) -> Completion:
        while True:
            adapted = self._adapter.adapt(body, streams=on_growth is not None)
            completion = await self._exchange(adapted, on_growth)
            if completion.error is not None and "tools" in body and completion.error.is_about_tools:
                raise ToolsRefusedError(f'{self._error_text(completion.error)}; set dialect = "tags" of the master')
            adaptation = None if completion.error is None else self._adapter.learn(completion.error, adapted)
            if adaptation is None:
                try:
                    self._check(completion, has_tools="tools" in body)
                except ModelError as error:
                    charge(error, self._usage(completion))
                    raise
                return completion
            logger.log(adaptation.level, "%s: %r %s", self.server_url, self.name, adaptation.message)

    async def _exchange(self, body: Mapping[str, Any], on_growth: GrowthCallback | None) -> Completion:
        """One request and its reply, which may be an error of the server. Raises TransientError if there is no whole
        reply."""
        try:
            async with asyncio.timeout(self.timeout_s):
                return await self._request(body, on_growth)
        except (openai.APIConnectionError, TimeoutError) as error:
            raise too_large(error) or self._connection_error(error) from error
        except openai.APIStatusError as error:
            problem = read_error(error.body, error.status_code)
            problem = problem or ServerError(cause(error), error.status_code, is_http=True)
            header_s = header_wait_s(error.response.headers)
            return Completion("", error=problem if header_s is None else replace(problem, retry_after_s=header_s))
        except (openai.OpenAIError, ValueError, RecursionError) as error:
            in_stream = read_error({"error": error.body}) if isinstance(error, openai.APIError) else None
            if in_stream is not None:
                return Completion("", error=in_stream)
            if isinstance(error, json.JSONDecodeError) and is_page(error.doc):
                return read_completion(error.doc)
            raise TransientError(f"{self.server_url}: a reply that cannot be read ({cause(error)})") from error

    async def _request(self, body: Mapping[str, Any], on_growth: GrowthCallback | None) -> Completion:
        # Posted as bytes: the client's typed methods walk through every message once more and build
        # models of every reply, which takes as long as all the rest; and it takes twice as long to write
        # a megabyte of images as JSON.
        path = self.reply_format.path if "messages" in body else "/completions"
        post = partial(
            self._connect().post, path, cast_to=object, content=to_json(body), options={"headers": self._headers}
        )
        if "stream" in body:
            response = await post(stream=True, stream_cls=openai.AsyncStream[object])
            return await read_response(response, self.reply_format, on_growth or (lambda _: None))
        completion = self.reply_format.read(await post())
        if on_growth is not None and not completion.is_empty:  # the server refuses to stream
            on_growth(completion)
        return completion

    def _check(self, completion: Completion, *, has_tools: bool) -> None:
        """Raise ModelError for a reply that cannot be used, TransientError if a retry may help."""
        if completion.error is not None:
            raise self._model_error(completion.error)
        if completion.is_endless:
            raise ModelError(
                f"{self.server_url}: a reply of {completion.num_chars} characters or more; it ignores max_tokens"
            )
        if not completion.is_complete:
            raise TransientError(f"{self.server_url}: the reply breaks off")
        is_call = has_tools and bool(completion.calls)
        is_usable = is_call or bool(completion.text.strip())
        if completion.why_no_text and (completion.refusal or not is_usable):  # the words before a refusal do not count
            raise ModelError(f"{self.server_url}: {completion.why_no_text}")

    def _error_text(self, error: ServerError) -> str:
        return f"{self.server_url}: {error}"

    def _model_error(self, error: ServerError) -> ModelError:
        message = self._error_text(error)
        if error.is_about_key:
            return ModelError(f"{message}: the key in {self.api_key_env} was refused; export another")
        if error.is_about_credit:
            return ModelError(f"{message}; add credit to the account of {self.api_key_env}, or choose another model")
        if error.status == 403 and not error.is_about_content:
            return ModelError(f"{message}; check what the key in {self.api_key_env} may use, or export another")
        if error.is_about_images:
            return ImagesRefusedError(f"{message}; name a model that reads images")
        if error.status == 404:
            is_bare = urlsplit(self.server_url).path in ("", "/")
            return ModelError(f"{message}; {BARE_URL if is_bare else f'is {self.name!r} served there?'}")
        if error.is_overflow:
            return ContextOverflowError(f"{message}; {FIT_CONTEXT}")
        if error.is_about_continuation:
            return ContinuationRefusedError(f"{message}; {CONTINUE_REPLY}")
        if not error.is_transient:
            return ModelError(message)
        return (ThrottledError if error.status == 429 else TransientError)(message, error.retry_after_s)
