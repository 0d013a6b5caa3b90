"""One small request to a model's server, to learn what it does before questions depend on it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

from PIL import Image

from longvideoagent.core.protocol import reasoning_prefix
from longvideoagent.core.reasoning import TEMPLATE_TAG
from longvideoagent.core.types import Jpeg, Message, Usage
from longvideoagent.errors import ModelError, ToolsRefusedError, TransientError
from longvideoagent.models.base import CallSettings, cut_warning
from longvideoagent.models.openai import OpenAIModel
from longvideoagent.models.openai_reply import Completion

TEXT_PROMPT = "Copy this line exactly, to its end, and write nothing else: <answer>a0</answer> end of the line"
TOOL_PROMPT = "Call the tool answer with the text a0."
REFUSES_TOOLS = "it does not accept tools; the master writes its actions as tags"
IMAGE_PROMPT = "Which colour fills this image? Reply with one word."
IMAGE_SIZE_PX = 224
IMAGE_COLOUR = (200, 30, 30)
CONTEXT_FIELDS = ("max_model_len", "context_length", "context_window", "max_context_length", "max_input_tokens")
"""Where servers give a model's context length in their list of models: vLLM and SGLang, OpenRouter, Groq, LM Studio,
Anthropic."""
STOP_FIELDS = ("stop", "stop_sequences")
"""Where a request has its stop texts: OpenAI's chat completions, Anthropic's messages."""
MAX_LISTED_MODELS = 5
IN_FIELD = "in a field of its own"
IN_REPLY = f"<{TEMPLATE_TAG}> in the reply"
HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class ServerReport:
    """What one request has shown about a model and its server. None: it has not shown it."""

    text: str
    usage: Usage
    max_context_tokens: int | None = None
    """The context length that the server gives in its list of models."""
    reasoning: str = ""
    """Where its reasoning is: ``IN_FIELD``, ``IN_REPLY`` or ``HIDDEN``; empty if it shows none."""
    is_stop_sent: bool = False
    """Whether stop texts were sent."""
    honors_stop: bool | None = None
    """Whether the server ended the reply at a stop text."""
    accepts_images: bool | None = None
    truncation_warning: str = ""
    """The message for a reply that was cut inside its reasoning."""
    adaptations: tuple[str, ...] = ()
    """What it refuses, and what is done about it; one line each."""
    calls_tools: bool | None = None
    """Whether the model called the tool that it was asked to call; None: no tools were offered."""


async def probe_server(model: OpenAIModel, settings: CallSettings, *, with_image: bool) -> ServerReport:
    """Send one small text, or an image with a text, and report what came back.

    An image takes a second request if its tokens do not prove that it was read. A reasoning model gets no stop
    texts, as in a rollout. With ``settings.tools`` it is asked to call one; a server that refuses them gets the text.

    Raises:
        ModelError: The server gives no usable reply; the message names the models that it lists if it lacks this one.
    """
    await model.find_name()
    has_tools = bool(settings.tools)
    settings = replace(settings, stop_at_action=not (with_image or has_tools or model.reasoning))
    text = TOOL_PROMPT if has_tools else TEXT_PROMPT
    content: str | tuple[str | Jpeg, ...] = (sample_image(), IMAGE_PROMPT) if with_image else text
    body = model.request_body([Message(role="user", content=content)], settings)
    started = time.perf_counter()
    try:
        completion = await model.send(body)
    except TransientError:
        raise
    except ToolsRefusedError:
        report = await probe_server(model, replace(settings, tools=()), with_image=with_image)
        return replace(report, calls_tools=False, adaptations=(*report.adaptations, REFUSES_TOOLS))
    except ModelError as error:
        raise type(error)(f"{error}{_served_models(await model.list_models(), model.name)}") from error
    if completion.is_empty and not completion.is_cut:
        raise TransientError(f"{model.server_url}: an empty reply")
    usage = Usage(1, completion.prompt_tokens, completion.completion_tokens, images=int(with_image))
    if with_image:
        usage += await model.verify_image_input(body, completion)
    usage = replace(usage, seconds=time.perf_counter() - started)
    reasoning = _reasoning(completion, reasoning_prefix(body.get("prompt", "")))
    is_stop_sent = any(name in body and not model.is_refused(name) for name in STOP_FIELDS)
    is_cut = completion.is_cut and bool(reasoning) and not _after_thought(completion.text, reasoning)
    return ServerReport(
        completion.text,
        usage,
        _max_context_tokens(await model.list_models(), model.name),
        reasoning,
        is_stop_sent,
        _honors_stop(completion) if is_stop_sent else None,
        (model.images_verified or None) if with_image else None,
        cut_warning(model.name, settings, "its reasoning") if is_cut else "",
        model.adaptations,
        bool(completion.calls) if has_tools else None,
    )


def sample_image() -> Jpeg:
    """A small image of one colour."""
    out = BytesIO()
    Image.new("RGB", (IMAGE_SIZE_PX, IMAGE_SIZE_PX), IMAGE_COLOUR).save(out, "JPEG")
    return Jpeg(out.getvalue())


def _reasoning(completion: Completion, prefix: str) -> str:
    """Where the reasoning of a reply is; empty if it shows none."""
    if completion.reasoning:
        return IN_FIELD
    if prefix or f"<{TEMPLATE_TAG}>" in completion.text or f"</{TEMPLATE_TAG}>" in completion.text:
        return IN_REPLY
    return HIDDEN if completion.reasoning_tokens or completion.is_empty else ""


def _after_thought(text: str, reasoning: str) -> str:
    """The text of a reply after its thought."""
    _, closing, after = text.rpartition(f"</{TEMPLATE_TAG}>")
    return "" if reasoning == IN_REPLY and not closing else after.strip()


def _honors_stop(completion: Completion) -> bool | None:
    """Whether the reply to ``TEXT_PROMPT`` ended at its closing tag; None if it does not show that."""
    before, closing, after = completion.text.partition("</answer>")
    if closing:
        return False if after.strip() else None  # the model may have ended there by itself
    return True if "<answer>" in before and not completion.is_cut else None


def _max_context_tokens(models: Sequence[Mapping[str, Any]], name: str) -> int | None:
    """The context length that a server lists for a model, or None."""
    for entry in models:
        if entry.get("id") == name:
            lengths = [entry.get(field) for field in CONTEXT_FIELDS]
            return next((length for length in lengths if isinstance(length, int) and length > 0), None)
    return None


def _served_models(models: Sequence[Mapping[str, Any]], name: str) -> str:
    """The end of an error message about a model that the server does not list; empty if it lists it, or nothing."""
    names = [entry["id"] for entry in models if isinstance(entry.get("id"), str)]
    if not names or name in names:
        return ""
    more = f" and {len(names) - MAX_LISTED_MODELS} more" if len(names) > MAX_LISTED_MODELS else ""
    return f"; the server has {', '.join(names[:MAX_LISTED_MODELS])}{more}"
