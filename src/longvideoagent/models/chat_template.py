"""Messages as the one text that a language model reads, by its chat template."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError

from longvideoagent.core.protocol import PROTOCOL_TAGS, reasoning_prefix
from longvideoagent.core.reasoning import REASONING_TOKENS
from longvideoagent.core.special_tokens import PLAIN_BRACKET
from longvideoagent.core.types import Jpeg, Message
from longvideoagent.errors import ImagesRefusedError, ModelError

MIN_TOKEN_CHARS = 3
"""A shorter text is not taken for a token."""
_TOKEN_IN_TEMPLATE = re.compile(r"<[^<>\s]{1,60}>|\[/?[A-Z_]{2,30}\]")
_OWN_TAG = re.compile(
    rf"</?(?:{'|'.join(map(re.escape, PROTOCOL_TAGS))})>|{'|'.join(map(re.escape, REASONING_TOKENS))}", re.IGNORECASE
)


def render_prompt(tokenizer: Any, messages: Sequence[Message], template: str | None = None) -> str:
    """The text before the reply: the template up to the assistant's turn, then the assistant's last message, if the
    reply continues one. ``tokenizer`` is one of transformers'; ``template`` is used instead of its own one (see
    ``fill_template``). Texts of its special tokens inside messages become plain text. Raises ImagesRefusedError for
    images, and ModelError for a tokenizer without a template."""
    if not all(isinstance(message["content"], str) for message in messages):
        raise ImagesRefusedError("a model in this process takes no images; give that role a model on a server")
    messages = _escape(messages, special_tokens(tokenizer))
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
    assistant's text. What has the form of a token in the template becomes plain text inside them. Raises ModelError for
    other messages than one text of the user and at most one of the assistant."""
    messages = _escape(messages, _TOKEN_IN_TEMPLATE.findall(template))
    texts = [content for message in messages if isinstance(content := message["content"], str)]
    if len(texts) < len(messages) or [message["role"] for message in messages] not in (["user"], ["user", "assistant"]):
        raise ModelError("completion_template takes one text of the user; set style to continuation or accumulated")
    head, _, tail = template.partition("$prompt")
    return join_continuation(f"{head}{texts[0]}{tail}", "".join(texts[1:]))


def special_tokens(tokenizer: Any) -> frozenset[str]:
    """The texts that a tokenizer of transformers reads as one token of its own, and that stand for no ordinary text."""
    added = getattr(tokenizer, "added_tokens_decoder", None) or {}
    texts = {str(token): bool(getattr(token, "special", True)) for token in added.values()}
    texts |= dict.fromkeys(map(str, getattr(tokenizer, "all_special_tokens", ())), True)
    return frozenset(text for text, special in texts.items() if _stands_for_a_token(text, is_special=special))


def _stands_for_a_token(text: str, *, is_special: bool) -> bool:
    """Whether a text is not one that people write; some tokenizers have an exclamation mark, or blanks, as tokens."""
    has_bracket = any(char in "<>[]{}|｜◁▷~" for char in text)
    return len(text) >= MIN_TOKEN_CHARS and not text.isspace() and (has_bracket or is_special)


def _escape(messages: Sequence[Message], tokens: Iterable[str]) -> list[Message]:
    """The messages without these tokens; tags of the protocol stay, which prompts and replies are written in."""
    pattern = _token_pattern(frozenset(token for token in tokens if _OWN_TAG.fullmatch(token) is None))

    def escape(content: str | tuple[str | Jpeg, ...]) -> str | tuple[str | Jpeg, ...]:
        if isinstance(content, str):
            return content if pattern is None else pattern.sub(lambda match: PLAIN_BRACKET + match[0][1:], content)
        return content

    return [Message(role=message["role"], content=escape(message["content"])) for message in messages]


@lru_cache(maxsize=8)
def _token_pattern(tokens: frozenset[str]) -> re.Pattern[str] | None:
    """Matches each of these tokens, the longest first; None for none."""
    longest_first = sorted(tokens, key=lambda token: (-len(token), token))
    return re.compile("|".join(map(re.escape, longest_first))) if tokens else None


def join_continuation(prompt: str, continued: str) -> str:
    """The prompt and the text that continues it. A reasoning tag that opens in both is written once."""
    opened = reasoning_prefix(prompt)
    return prompt + (continued.removeprefix(opened) if opened else continued)
