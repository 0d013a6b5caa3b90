"""How and why a rollout ends."""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never


class Outcome(StrEnum):
    """How a rollout ended."""

    ANSWERED = "answered"
    """The master answered within its rounds and budget."""
    ABSTAINED = "abstained"
    """The master gave an empty answer: the evidence is not enough."""
    SPENT = "spent"
    """Rounds or a budget ran out. There may be an answer, given within the budget."""
    FAILED = "failed"
    """An agent failed, or the video cannot be read. Never an answer."""


class StopReason(StrEnum):
    """Why a rollout ended. The outcome follows from it."""

    ANSWERED = "answered"
    """The master answered."""
    ABSTAINED = "abstained"
    """The master gave an empty answer."""
    MAX_ROUNDS = "max_rounds"
    """``max_rounds`` replies without an answer."""
    MAX_CALLS = "max_calls"
    """``max_calls`` was reached."""
    MAX_TOKENS = "max_tokens"
    """``max_tokens`` was reached."""
    MAX_USD = "max_usd"
    """``max_usd`` was reached."""
    UNAVAILABLE = "unavailable"
    """A server did not answer, or refused for a while, and the retries are used up."""
    CONTEXT_OVERFLOW = "context_overflow"
    """A prompt does not fit a model's context, even shortened."""
    MODEL = "model_error"
    """A model failed in another way."""
    DATA = "data_error"
    """The video or its subtitles cannot be read."""

    @property
    def outcome(self) -> Outcome:
        """The outcome that follows from this reason."""
        match self:
            case StopReason.ANSWERED:
                return Outcome.ANSWERED
            case StopReason.ABSTAINED:
                return Outcome.ABSTAINED
            case StopReason.MAX_ROUNDS | StopReason.MAX_CALLS | StopReason.MAX_TOKENS | StopReason.MAX_USD:
                return Outcome.SPENT
            case StopReason.UNAVAILABLE | StopReason.CONTEXT_OVERFLOW | StopReason.MODEL | StopReason.DATA:
                return Outcome.FAILED
            case _:
                assert_never(self)
