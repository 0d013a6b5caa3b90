"""Messages as the one text that a language model reads, by its chat template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError

from longvideoagent.core.protocol import reasoning_prefix
from longvideoagent.core.types import Message
from longvideoagent.errors import ImagesRefusedError, ModelError


def render_prompt(tokenizer: Any, messages: Sequence[Message], template: str | None = None) -> str:
    """The text before the reply: the template up to the assistant's turn, then the assistant's last message, if the
    reply continues one. ``tokenizer`` is one of transformers'; ``template`` is used instead of its own one (see
    ``fill_template``). Raises ImagesRefusedError for images, and ModelError for a tokenizer without a template."""
    if not all(isinstance(message["content"], str) for message in messages):
        raise ImagesRefusedError("a model in this process takes no images; give that role a model on a server")
    if template is not None:
        return fill_template(template, messages)
    continued = str(messages[-1]["content"]) if messages[-1]["role"] == "assistant" else ""
    chat = messages[:-1] if continued else messages
    if not getattr(tokenizer, "chat_template", None):
        raise ModelError(f"{tokenizer.name_or_path} has no chat template; take a model that was trained to chat")
    try:
        prompt: str = tokenizer.apply_chat_template(list(chat), tokenize=False, add_generation_prompt=True)
    except TemplateError as error:  # templates refuse what they do not provide for
        raise ModelError(f"{tokenizer.name_or_path}: its chat template refuses ({error})") from error
    return join_continuation(prompt, continued)


def fill_template(template: str, messages: Sequence[Message]) -> str:
    """The text before the reply by a chat template written out: the user's text in place of ``$prompt``, then the
    assistant's text. Raises ModelError for other messages than one text of the user and at most one of the
    assistant."""
    texts = [content for message in messages if isinstance(content := message["content"], str)]
    if len(texts) < len(messages) or [message["role"] for message in messages] not in (["user"], ["user", "assistant"]):
        raise ModelError("completion_template takes one text of the user; set style to continuation or accumulated")
    head, _, tail = template.partition("$prompt")
    return join_continuation(f"{head}{texts[0]}{tail}", "".join(texts[1:]))


def join_continuation(prompt: str, continued: str) -> str:
    """The prompt and the text that continues it. A reasoning tag that opens in both is written once."""
    opened = reasoning_prefix(prompt)
    return prompt + (continued.removeprefix(opened) if opened else continued)
