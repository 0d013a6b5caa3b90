"""Log-probabilities of the tokens of a reply, as servers write them, and those of single letters among them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from longvideoagent.core.text import replace_surrogates
from longvideoagent.core.types import Reply

_MARKS = "\t\n\r ĠĊ▁()[]{}<>*_.,:;'\"`"
"""What may stand around a letter in its token; some servers write blanks as the marks of their tokenizers."""
MIN_LOGPROB = -100.0
"""For what a server gives as impossible."""


class TokenLogprobs(NamedTuple):
    """A token of a reply, and the likeliest tokens in its place with their natural log-probabilities."""

    token: str
    likeliest: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class ScoredReply(Reply):
    """A reply with the log-probabilities of its tokens. Its text may be empty."""

    logprobs: tuple[TokenLogprobs, ...] = ()


def with_logprobs(reply: Reply, logprobs: tuple[TokenLogprobs, ...]) -> Reply:
    """The reply with the log-probabilities of its tokens; as it is if there are none."""
    if not logprobs:
        return reply
    return ScoredReply(**{field.name: getattr(reply, field.name) for field in fields(reply)}, logprobs=logprobs)


def read_logprobs(choice: Mapping[str, Any]) -> tuple[TokenLogprobs, ...]:
    """The log-probabilities in a choice of a chat completion, or of a piece of one; what cannot be read is left out."""
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    tokens = []
    for entry in content if isinstance(content, list) else ():
        own = _candidate(entry)
        if own is not None:
            listed = entry.get("top_logprobs")
            others = [_candidate(each) for each in listed] if isinstance(listed, list) else []
            found = dict(each for each in others if each is not None)
            tokens.append(TokenLogprobs(own[0], tuple({**dict([own]), **found}.items())))
    return tuple(tokens)


def _candidate(entry: object) -> tuple[str, float] | None:
    """The text and the log-probability of a token."""
    token, logprob = (entry.get("token"), entry.get("logprob")) if isinstance(entry, dict) else (None, None)
    if not isinstance(token, str) or isinstance(logprob, bool) or not isinstance(logprob, int | float):
        return None
    if logprob != logprob:  # NaN; math.isnan refuses integers beyond the range of a float
        return None
    return replace_surrogates(token), float(min(0.0, max(MIN_LOGPROB, logprob)))


class LetterLogprobs(NamedTuple):
    """The log-probability of each letter, and whether it is only an upper bound, because the token was not listed."""

    values: tuple[float, ...]
    is_bound: tuple[bool, ...]


def letter_logprobs(tokens: Sequence[TokenLogprobs], letters: str) -> LetterLogprobs | None:
    """The log-probabilities of letters where a reply names one of them.

    That is the first token that is one of the letters, else the token in whose place letters are likeliest.

    Args:
        tokens: The tokens of the reply.
        letters: The letters, in upper case; " B", "B" and "(B" are the same one. Tokens in lower case count only if
            none in upper case is listed anywhere: "a" is a word.

    Returns:
        The log-probabilities; a letter that is not listed has the highest one that it may have. None if no letter is
        listed anywhere.
    """
    return _find(tokens, letters) or _find([_upper(token) for token in tokens], letters)


def _upper(token: TokenLogprobs) -> TokenLogprobs:
    return TokenLogprobs(token.token.upper(), tuple((text.upper(), logprob) for text, logprob in token.likeliest))


def _find(tokens: Sequence[TokenLogprobs], letters: str) -> LetterLogprobs | None:
    """The log-probabilities of letters in upper case, or None."""
    found: list[tuple[float, LetterLogprobs]] = []
    for token in tokens:
        sums: dict[str, float] = {}
        for text, logprob in token.likeliest:
            if (letter := text.strip(_MARKS)) and letter in letters and len(letter) == 1:
                sums[letter] = sums.get(letter, 0.0) + math.exp(logprob)
        if sums:
            found.append((math.fsum(sums.values()), _complete(token, sums, letters)))
            if token.token.strip(_MARKS) in sums:
                return found[-1][1]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _complete(token: TokenLogprobs, sums: Mapping[str, float], letters: str) -> LetterLogprobs:
    """All letters: one that is not listed is at most as likely as the last one listed, and as all that is not."""
    listed = [math.exp(logprob) for _, logprob in token.likeliest]
    bound = math.log(max(math.exp(MIN_LOGPROB), min(min(listed), 1.0 - math.fsum(listed))))
    values = tuple(min(0.0, math.log(sums[letter])) if letter in sums else bound for letter in letters)
    return LetterLogprobs(values, tuple(letter not in sums for letter in letters))
