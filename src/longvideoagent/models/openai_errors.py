"""What servers with OpenAI's API say when they refuse a request or fail at it, and what that asks for.

OpenAI defines one form of an error; servers write it in many: as a list, as a text, with FastAPI's ``detail``, under
HTTP 200 with a code of its own, or inside a choice. Wordings were collected from the servers' references and issues.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RETRIED_STATUSES = (408, 409, 425, 429)
"""Of the statuses below 500, those that may pass."""
MAX_DETAIL_CHARS = 300
"""Of what a server says about an error."""
_MAX_PAGE_CHARS = 4000
_MAX_NESTED_ERRORS = 4
_RETRY_AFTER = re.compile(
    r"(?:retry|try again) (?:in|after) (\d{1,6}(?:\.\d{1,9})?)\s?(ms|s|m)(?![a-z])", re.IGNORECASE
)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_MESSAGE_FIELDS = ("message", "detail", "msg", "status_msg", "error_msg", "error_description")
_CODE_FIELDS = ("code", "status_code", "status", "http_code", "type")
_STATUS_OF_NAME = (
    (r"insufficient_quota|billing|credit|payment", 402),
    (r"rate.?limit|too.?many.?requests|throttl|resource.?exhausted", 429),
    (r"overloaded|unavailable", 503),
    (r"time.?out|timed.?out|deadline", 504),
    (r"server.?error|internal|api_error|bad.?gateway|upstream", 500),
    (r"auth|api.?key", 401),
    (r"permission|forbidden", 403),
    (r"not.?found", 404),
    (r"invalid|bad.?request|context|unsupported", 400),
)
"""Statuses of errors that have a name instead of a number: OpenAI's, Anthropic's and Google's."""
_OVERFLOW = re.compile(
    r"context[ _-]?(?:length|window|size|limit)|maximum context"  # OpenAI, vLLM, SGLang, llama.cpp, Ollama, LM Studio
    r"|maximum (?:prompt|input|model|sequence) length"  # xAI, vLLM
    r"|(?:prompt|input|request|conversation|messages?) (?:is |are |was )?too (?:long|large)"  # Anthropic, Bedrock, Groq
    r"|(?:input|prompt) (?:length|tokens?|token count)\b.{0,60}(?:exceed|longer than|should be|must be)"  # SGLang, Qwen
    r"|(?:input|prompt|messages)\b.{0,60}\btokens?\b.{0,60}(?:exceed|\blimit\b)"
    r"|\btokens?\b.{0,60}\b(?:input|prompt|messages)\b.{0,60}exceed"
    r"|exceed.{0,60}(?:tokens? allowed|token limit|max(?:imum)? (?:length|tokens|input))"  # Gemini, Kimi, GLM
    r"|inputs` (?:tokens|must have less)|too many (?:input )?tokens|string too long"  # TGI, Cohere, OpenAI
    r"|reduce (?:the length of )?(?:the|your) (?:prompt|message|input)"  # Groq
)
_OVERFLOW_STATUSES = (None, 400, 422, 500)
_TOO_LARGE_FOR_RATE = re.compile(r"request too large|tokens must be reduced")
_REPLY_LIMIT = re.compile(r"max_(?:completion_|output_|new_)?tokens|(?:completion|output) tokens")
_TOO_HIGH = re.compile(r"max_\w{0,12}tokens\W{1,3}must be less than or equal")  # Groq, which names the context, too
_TOO_LOW = re.compile(r"at least|minimum|higher|greater|above|reached")
_PROMPT_WORDS = re.compile(r"context|input|prompt|messages")
_NUMBER = re.compile(r"(?<![\w.-])\d[\d,]{0,11}(?![\w.]*\w)")
MIN_REPLY_LIMIT = 16
"""A smaller number in an error about max_tokens is not its upper limit."""
_STREAM_ONLY = re.compile(
    r"non-?stream|(?:only|must|require|enable|please|mode).*\bstream(?:ing)?\b|\bstream(?:ing)?\b.*(?:only|must|require|mode)"
)
_REFUSAL = re.compile(
    r"unsupported|not support|unrecognized|unexpected|not allowed|unknown|too long|not permitted"
    r"|invalid|\bonly\b|\bmust\b|cannot|deprecated|unavailable|not available|extra (?:inputs|fields)"
)
_IMAGES = re.compile(
    r"image input|image_url|support(?:ed)? (?:for )?(?:image|vision)|images? (?:is|are) not|not a multimodal"
    r"|(?:take|accept|read|process) images"
)
_TOOL_WORDS = r"(?:tools|tool[ -]?(?:use|calls?|calling)|functions|function[ -]?(?:calls?|calling))"
_TOOLS = re.compile(
    rf"(?:not|n't) support (?:the use of )?{_TOOL_WORDS}\b"
    rf"|(?<!parallel )(?<!with )(?<!using )\b{_TOOL_WORDS}\b\W? (?:is|are) "
    r"(?:not (?:supported|allowed|enabled|available|permitted)|unsupported|disabled)"
    r"|support tool use|enable-auto-tool-choice|--jinja"  # OpenRouter, vLLM, llama.cpp
    r"|must start with a thinking block"  # Anthropic, of a model with a fixed thinking budget, for the same reason:
    r"|thought_?signature|reasoning details"  # Gemini 3, which wants more back with a call than a trace holds
    r"|(?:unknown|unrecognized|unexpected|extra|invalid|unsupported)\b.{0,40}\btools\b"
    r"|\btools\b.{0,30}(?:extra inputs|unexpected|unrecognized|not permitted)"
)
_TOOL_STATUSES = (None, 400, 404, 405, 422, 501)
_TOOLS_AS_FAILURE = re.compile(rf"not support {_TOOL_WORDS}|--jinja")
"""In an error of status 500 of Ollama and llama.cpp."""
_CONTINUATION = re.compile(
    r"continue_final_message|add_generation_prompt|\bprefill|last (?:message )?role|conversation must end with a user"
)
_NO_CALL = re.compile(r"not call (?:a|any|the) (?:tool|function)|tool_use_failed")  # Groq
_KEY = re.compile(r"api[ _-]?key|credential|authenticat|\btoken\b.{0,40}(?:invalid|expired)|incorrect key")
_KEY_PROBLEM = re.compile(r"incorrect|invalid|not valid|expired|missing|not provided|pass a valid|unauthorized|wrong")
_CONTENT = re.compile(r"moderat|flagged|polic(?:y|ies)\b|safety|prohibited|harmful|country|region|territory")
_ALIASES = {
    "logprobs": ("log prob", "log-prob"),
    "response_format": ("json_schema", "response_schema", "structured output", "schema", "json mode", "grammar"),
}
_REQUIRED_FIELDS = {
    "model",
    "messages",
    "prompt",
    "continue_final_message",
    "add_generation_prompt",
    "max_completion_tokens",
    "tools",
}
_NESTED_FIELDS = ("chat_template_kwargs", "extra_body", "output_config")
"""Fields that hold options, which a server can refuse one by one."""
_FIRST_FIELDS = ("top_p", "top_k", "repetition_penalty", "temperature", "max_tokens", "stop", "stream_options")
"""The order in which fields are left out if an error names several; others follow."""


@dataclass(frozen=True, slots=True)
class ServerError:
    """An error as a server describes it."""

    message: str
    """On one line."""
    status: int | None = None
    """The HTTP status, or the code of an error under HTTP 200; None if it has none."""
    code: str = ""
    """Its names, in lower case: OpenAI's ``code`` and ``type``."""
    param: str = ""
    """The field of the request that it names as the cause."""
    is_http: bool = False
    """Whether ``status`` is that of the HTTP response."""
    retry_after_s: float | None = None
    """When the server wants to be asked again; None if it does not say."""

    def __str__(self) -> str:
        kind = "HTTP" if self.is_http else "error"
        return f"{kind} {self.status}, {self.message}" if self.status else self.message

    @property
    def is_transient(self) -> bool:
        """Whether the same request may succeed later. A used-up quota has the status of a rate limit at OpenAI."""
        status = self.status or 0
        return (status in RETRIED_STATUSES or status >= 500) and "insufficient_quota" not in self.code

    @property
    def is_about_images(self) -> bool:
        """Whether the model does not read images; Ollama says so with status 500."""
        return self.status not in RETRIED_STATUSES and _IMAGES.search(self.message.lower()) is not None

    @property
    def is_about_key(self) -> bool:
        """Whether the server does not accept the key; Gemini and xAI say so with status 400."""
        text = f"{self.message} {self.code}".lower()
        if self.status == 401:
            return True
        return self.status in (400, 403) and bool(_KEY.search(text)) and bool(_KEY_PROBLEM.search(text))

    @property
    def is_about_content(self) -> bool:
        """Whether the server refuses what the request says, or where it comes from, and not who sends it."""
        return self.status == 403 and _CONTENT.search(self.message.lower()) is not None

    @property
    def is_about_credit(self) -> bool:
        """Whether the account has nothing left to pay with."""
        is_named = "insufficient_quota" in self.code or "billing_error" in self.code  # Anthropic, with status 403 or
        return self.status == 402 or is_named or "credit balance is too low" in self.message  # with 400

    @property
    def is_about_tools(self) -> bool:
        """Whether the server does not accept tools, for this model or at all."""
        text = self.message.lower()
        if self.status == 500:
            return _TOOLS_AS_FAILURE.search(text) is not None
        is_other_field = self.param not in ("", "tools")
        return self.status in _TOOL_STATUSES and not is_other_field and _TOOLS.search(text) is not None

    @property
    def is_about_continuation(self) -> bool:
        """Whether the server does not continue the assistant's last message."""
        return self.status in (400, 422) and _CONTINUATION.search(self.message.lower()) is not None

    @property
    def is_overflow(self) -> bool:
        """Whether the prompt is too long for the model, or for the server."""
        text = f"{self.message} {self.code}".lower()
        if self.status == 429:
            return _TOO_LARGE_FOR_RATE.search(text) is not None
        if self.status == 413:
            return True
        return self.status in _OVERFLOW_STATUSES and not self._is_about_reply and _OVERFLOW.search(text) is not None

    @property
    def _is_about_reply(self) -> bool:
        text = self.message.lower()
        if _TOO_HIGH.search(text) is not None:
            return True
        return _REPLY_LIMIT.search(text) is not None and _PROMPT_WORDS.search(text) is None

    @property
    def _is_too_short_reply(self) -> bool:
        return self._is_about_reply and _TOO_LOW.search(self.message.lower()) is not None

    def max_reply_tokens(self, requested: int) -> int | None:
        """The highest ``max_tokens`` that the server allows, if the error says that ``requested`` is too many."""
        if self.status not in (400, 422) or not self._is_about_reply or self._is_too_short_reply:
            return None
        numbers = [int(number.replace(",", "")) for number in _NUMBER.findall(self.message)]
        return max((number for number in numbers if MIN_REPLY_LIMIT <= number < requested), default=None)

    def max_top_logprobs(self, requested: int) -> int | None:
        """How many log-probabilities the server lists for a token, if the error says that ``requested`` is too many."""
        if self.status not in (400, 422) or "logprobs" not in self.message.lower():
            return None
        numbers = [int(number.replace(",", "")) for number in _NUMBER.findall(self.message)]
        return max((number for number in numbers if 1 < number < requested), default=None)

    @property
    def is_stream_only(self) -> bool:
        """Whether the server wants to stream the reply to a request that does not ask for a stream."""
        return self.status in (400, 422) and (
            self.param == "stream" or _STREAM_ONLY.search(self.message.lower()) is not None
        )

    def refused_field(self, body: Mapping[str, Any]) -> str | None:
        """The optional field of the request that the error names, or None. ``a.b`` is field b of field a."""
        if self.status == 404 and "tool_choice" in body and "tool_choice" in self.message:  # OpenRouter
            return "tool_choice"
        if self.status == 403 and "logprobs" in body and "logprobs" in self.message:  # OpenAI
            return "logprobs"
        if self.status not in (400, 422) or self.is_overflow or self._is_too_short_reply:
            return None
        if "tool_choice" in body and _NO_CALL.search(f"{self.message} {self.code}".lower()):
            return "tool_choice"
        paths = [f"{outer}.{name}" for outer in _NESTED_FIELDS for name in _names(body.get(outer))]
        paths += [name for name in _FIRST_FIELDS if name in body]
        paths += [name for name in body if name not in paths and name not in _REQUIRED_FIELDS]
        for path in paths:
            if self.param and self.param in (path, path.rpartition(".")[2]):
                return path
        return next((path for path in paths if self._names_field(path.rpartition(".")[2])), None)

    def _names_field(self, name: str) -> bool:
        text = self.message.lower()
        is_word = name.isalpha()  # such as "stop", which an error may contain for another reason
        if is_word and _REFUSAL.search(text) is None:
            return False
        if any(alias in text for alias in _ALIASES.get(name, ())):
            return True
        return re.search(rf"(?<![a-z0-9_]){re.escape(name.lower())}(?![a-z0-9_])", text) is not None


def _names(value: object) -> list[str]:
    return [str(name) for name in value] if isinstance(value, dict) else []


def read_error(value: object, http_status: int | None = None) -> ServerError | None:
    """The error that a response or a part of it describes; None if it describes none.

    ``http_status`` is the status of a response that failed; None for one under HTTP 200.
    """
    is_error = False
    for _ in range(_MAX_NESTED_ERRORS):
        if isinstance(value, list) and len(value) == 1:  # Gemini
            value = value[0]
        elif isinstance(value, dict) and isinstance(value.get("error"), dict | list | str) and value["error"]:
            value, is_error = value["error"], True
    if isinstance(value, str):
        message = page_text(value) if is_page(value) else _one_line(value)
        return ServerError(message, http_status, is_http=http_status is not None) if message else None
    if not isinstance(value, dict):
        return None
    message = _message(value) or (_one_line(value) if is_error else "")
    codes = [value[name] for name in _CODE_FIELDS if isinstance(value.get(name), int | str)]
    if not message:
        return None
    return ServerError(
        message,
        http_status or _status(codes),
        " ".join(str(code).lower() for code in codes),
        str(value.get("param") or ""),
        is_http=http_status is not None,
        retry_after_s=_retry_after_s(message),
    )


def _retry_after_s(message: str) -> float | None:
    """The wait that a message asks for, in seconds; Gemini says it nowhere else."""
    match = _RETRY_AFTER.search(message)
    return None if match is None else float(match[1]) * _SECONDS[match[2].lower()]


def _message(error: Mapping[str, Any]) -> str:
    """What an error says, with what an error of the server behind a router says."""
    message = next((_one_line(error[name]) for name in _MESSAGE_FIELDS if error.get(name)), "")
    metadata = error.get("metadata")
    behind = metadata.get("raw") if isinstance(metadata, dict) else None
    if not message or not behind:
        return message
    try:
        inner = read_error(json.loads(behind) if isinstance(behind, str) else behind)
    except (ValueError, RecursionError):
        inner = read_error(behind)
    return f"{message}: {inner.message}"[:MAX_DETAIL_CHARS] if inner else message


def _status(codes: list[Any]) -> int | None:
    """The HTTP status that the codes of an error stand for, or None."""
    for code in codes:
        text = str(code).strip()
        if text.isascii() and text.isdigit() and 400 <= int(text[:4]) < 600:
            return int(text)
    names = " ".join(str(code).lower() for code in codes)
    return next((status for pattern, status in _STATUS_OF_NAME if re.search(pattern, names)), None)


def _one_line(value: object) -> str:
    return " ".join(str(value)[:_MAX_PAGE_CHARS].split())[:MAX_DETAIL_CHARS]


def is_page(text: str) -> bool:
    """Whether a text is a web page."""
    return re.match(r"\s*+<(?:!doctype|html|head|body|\?xml)", text[:_MAX_PAGE_CHARS], re.IGNORECASE) is not None


def page_text(page: str) -> str:
    """The title of a web page, else the beginning of its text."""
    page = page[:_MAX_PAGE_CHARS]
    title = re.search(r"<title[^>]{0,99}>([^<]{1,300})", page, re.IGNORECASE)
    return _one_line(title[1] if title else re.sub(r"<[^<>]*+>", " ", page))


def header_wait_s(headers: Mapping[str, str]) -> float | None:
    """The Retry-After header in seconds; dates and nonsense count as absent."""
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return None
