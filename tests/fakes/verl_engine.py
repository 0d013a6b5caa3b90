"""verl's client with fake engines: scripted replies as token ids with log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from verl.workers.rollout.llm_server import LLMServerClient
from verl.workers.rollout.replica import TokenOutput


def logprobs_of(ids: Sequence[int]) -> list[float]:
    """Fake log-probabilities that depend on the token only, so that a test can expect them."""
    return [-0.125 * (1 + token % 8) for token in ids]


class FakeEngine:
    """Gives the scripted replies of one rollout. It stops at the stop texts and at the token limit; a request that
    continues such a reply gets its rest."""

    def __init__(self, tokenizer: Any, replies: Sequence[str], version: int) -> None:
        self.requests: list[dict[str, Any]] = []
        self._tokenizer = tokenizer
        self._replies = list(replies)
        self._version = version
        self._returned: list[int] = []
        """The part of the current reply that has been returned."""
        self._rest: list[int] = []
        self.generate = SimpleNamespace(remote=self._generate)

    async def _generate(self, prompt_ids: list[int], sampling_params: dict[str, Any], **options: Any) -> TokenOutput:
        self.requests.append({"prompt_ids": prompt_ids, "sampling_params": dict(sampling_params), **options})
        if not self._rest or prompt_ids[-len(self._returned) :] != self._returned:
            self._returned, self._rest = [], self._tokenizer(self._replies.pop(0))["input_ids"]
        ids = self._rest[: self._length(sampling_params)]
        self._returned, self._rest = self._returned + ids, self._rest[len(ids) :]
        logprobs = logprobs_of(ids) if sampling_params.pop("logprobs", False) else None
        extra_fields = {"global_steps": self._version}
        return TokenOutput(token_ids=ids, log_probs=logprobs, stop_reason="completed", extra_fields=extra_fields)

    def _length(self, params: dict[str, Any]) -> int:
        for count in range(1, len(self._rest) + 1):
            text = self._tokenizer.decode(self._rest[:count])
            if count == params["max_tokens"] or any(text.endswith(stop) for stop in params.get("stop", ())):
                return count
        return len(self._rest)


class FakeClient(LLMServerClient):  # type: ignore[misc]
    """verl's own client, but each rollout has its own engine, in the order of their first requests."""

    def __init__(self, config: Any, tokenizer: Any, scripts: Sequence[Sequence[str]], version: int = 7) -> None:
        super().__init__(config)
        self.engines: dict[str, FakeEngine] = {}
        self._unused_engines = [FakeEngine(tokenizer, script, version) for script in scripts]

    async def _acquire_server(self, request_id: str, **_: Any) -> tuple[str, FakeEngine]:
        if request_id not in self.engines:
            self.engines[request_id] = self._unused_engines[len(self.engines)]
        return request_id, self.engines[request_id]

    def _release_server(self, server_id: str, request_id: str | None = None) -> None:
        """There is nothing to release."""
