"""A model that gives replies from a list: for tests, examples and replays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from longvideoagent.core.text import replace_surrogates
from longvideoagent.core.types import Message, Reply, Usage
from longvideoagent.errors import DataError, ModelError
from longvideoagent.models.base import DEFAULT_CALL_SETTINGS, CallSettings, ModelOptions, TextCallback
from longvideoagent.models.spec import ModelSpec


def load_model(spec: ModelSpec, options: ModelOptions) -> ScriptedModel:  # noqa: ARG001 (no option applies)
    """The model of ``scripted:FILE``."""
    return ScriptedModel.from_file(Path(spec.name))


class ScriptedModel:
    """Gives its replies in order and keeps the messages it was sent in ``requests``.

    A ``ModelError`` among the replies is raised when its turn comes, and another one when the list has ended.
    """

    def __init__(self, replies: Sequence[str | Reply | ModelError]) -> None:
        self._replies = list(replies)
        self.requests: list[list[Message]] = []

    @classmethod
    def from_file(cls, path: Path) -> ScriptedModel:
        """Replies from a JSON list of strings. Raises DataError if the file does not hold one."""
        try:
            replies = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read as a script ({error}); give a JSON list of strings") from error
        if not isinstance(replies, list) or not all(isinstance(reply, str) for reply in replies):
            raise DataError(f"{path}: not a script; give a JSON list of strings")
        return cls([replace_surrogates(reply) for reply in replies])

    async def complete(
        self,
        messages: Sequence[Message],
        settings: CallSettings = DEFAULT_CALL_SETTINGS,  # noqa: ARG002
        on_text: TextCallback | None = None,
    ) -> Reply:
        """The next reply of the script."""
        if len(self.requests) == len(self._replies):
            raise ModelError(f"the script ends after {len(self._replies)} replies; add more")
        item = self._replies[len(self.requests)]
        self.requests.append(list(messages))
        if isinstance(item, ModelError):
            raise item
        reply = Reply(item, usage=Usage(calls=1)) if isinstance(item, str) else item
        if on_text is not None:
            on_text(reply.reasoning + reply.text)
        return reply

    async def close(self) -> None:
        """Nothing to close."""
