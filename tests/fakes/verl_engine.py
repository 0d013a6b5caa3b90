"""verl's client with a made engine behind it: replies from a script, as token ids with log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from verl.workers.rollout.llm_server import LLMServerClient
from verl.workers.rollout.replica import TokenOutput


def logprobs_of(ids: Sequence[int]) -> list[float]:
    """Made, and told by the token, so that they can be expected."""
    return [-0.125 * (1 + number % 8) for number in ids]


class Engine:
    """Says the replies of one rollout. It stops at the texts it is told to, and where there is no room left; asked to
    go on from where it stopped, it does."""

    def __init__(self, tokenizer: Any, replies: Sequence[str], version: int) -> None:
        self.asked: list[dict[str, Any]] = []
        self._tokenizer = tokenizer
        self._replies = list(replies)
        self._version = version
        self._given: list[int] = []
        self._left: list[int] = []
        self.generate = SimpleNamespace(remote=self._generate)

    async def _generate(self, prompt_ids: list[int], sampling_params: dict[str, Any], **told: Any) -> TokenOutput:
        self.asked.append({"prompt_ids": prompt_ids, "sampling_params": dict(sampling_params), **told})
        if not self._left or prompt_ids[-len(self._given) :] != self._given:
            self._given, self._left = [], self._tokenizer(self._replies.pop(0))["input_ids"]
        said = self._left[: self._length(sampling_params)]
        self._given, self._left = self._given + said, self._left[len(said) :]
        logprobs = logprobs_of(said) if sampling_params.pop("logprobs", False) else None
        told_of = {"global_steps": self._version}
        return TokenOutput(token_ids=said, log_probs=logprobs, stop_reason="completed", extra_fields=told_of)

    def _length(self, params: dict[str, Any]) -> int:
        for count in range(1, len(self._left) + 1):
            text = self._tokenizer.decode(self._left[:count])
            if count == params["max_tokens"] or any(text.endswith(stop) for stop in params.get("stop", ())):
                return count
        return len(self._left)


class Client(LLMServerClient):  # type: ignore[misc]
    """verl's own, but that each rollout has an engine to itself, in the order in which they first ask."""

    def __init__(self, config: Any, tokenizer: Any, scripts: Sequence[Sequence[str]], version: int = 7) -> None:
        super().__init__(config)
        self.engines: dict[str, Engine] = {}
        self._made = [Engine(tokenizer, script, version) for script in scripts]

    async def _acquire_server(self, request_id: str, **_: Any) -> tuple[str, Engine]:
        if request_id not in self.engines:
            self.engines[request_id] = self._made[len(self.engines)]
        return request_id, self.engines[request_id]

    def _release_server(self, server_id: str, request_id: str | None = None) -> None:
        """Nothing to let go of."""
