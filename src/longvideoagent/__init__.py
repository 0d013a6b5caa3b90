"""Ask a question about a long video and get the answer with evidence one can seek to.

>>> from longvideoagent import ask
>>> trace = ask("talk.mp4", "What does the first slide say?")  # doctest: +SKIP
>>> trace.answer, trace.evidence  # doctest: +SKIP

Names are imported on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from longvideoagent.agents.base import Team
    from longvideoagent.agents.build import load_team
    from longvideoagent.agents.config import TeamConfig
    from longvideoagent.core.outcome import Outcome
    from longvideoagent.core.rollout import Rollout
    from longvideoagent.core.scoring import score
    from longvideoagent.core.trace import RolloutSettings, Trace
    from longvideoagent.core.types import Evidence, Question, Timeline
    from longvideoagent.errors import DataError, LongVideoAgentError, ModelError, ProtocolError, UsageError
    from longvideoagent.index.open import open_video
    from longvideoagent.media.readers.base import VideoReader, open_reader
    from longvideoagent.media.video import Video
    from longvideoagent.run import answer, ask, steps

__all__ = [
    "DataError",
    "Evidence",
    "LongVideoAgentError",
    "ModelError",
    "Outcome",
    "ProtocolError",
    "Question",
    "Rollout",
    "RolloutSettings",
    "Team",
    "TeamConfig",
    "Timeline",
    "Trace",
    "UsageError",
    "Video",
    "VideoReader",
    "answer",
    "ask",
    "load_team",
    "open_reader",
    "open_video",
    "score",
    "steps",
]

_MODULES = {
    "agents.base": ("Team",),
    "agents.build": ("load_team",),
    "agents.config": ("TeamConfig",),
    "core.rollout": ("Rollout",),
    "core.scoring": ("score",),
    "core.trace": ("Outcome", "RolloutSettings", "Trace"),
    "core.types": ("Evidence", "Question", "Timeline"),
    "errors": ("DataError", "LongVideoAgentError", "ModelError", "ProtocolError", "UsageError"),
    "media.readers.base": ("VideoReader", "open_reader"),
    "index.open": ("open_video",),
    "media.video": ("Video",),
    "run": ("answer", "ask", "steps"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
