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
    from longvideoagent.agents.config import AgentConfig, TeamConfig
    from longvideoagent.core.outcome import Outcome, StopReason
    from longvideoagent.core.rollout import Rollout
    from longvideoagent.core.scoring import score
    from longvideoagent.core.trace import Agents, RolloutSettings, Trace
    from longvideoagent.core.types import Clip, Evidence, Question, Subtitle, Timeline
    from longvideoagent.errors import DataError, LongVideoAgentError, ModelError, ProtocolError, UsageError
    from longvideoagent.index.open import open_video
    from longvideoagent.media.readers.base import VideoReader, open_reader
    from longvideoagent.media.subtitles.read import SubtitleOptions
    from longvideoagent.media.video import Video
    from longvideoagent.run import answer, ask, steps
    from longvideoagent.views.trace_dict import trace_from_dict, trace_to_dict

__all__ = [
    "AgentConfig",
    "Agents",
    "Clip",
    "DataError",
    "Evidence",
    "LongVideoAgentError",
    "ModelError",
    "Outcome",
    "ProtocolError",
    "Question",
    "Rollout",
    "RolloutSettings",
    "StopReason",
    "Subtitle",
    "SubtitleOptions",
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
    "trace_from_dict",
    "trace_to_dict",
]

_MODULES = {
    "agents.base": ("Team",),
    "agents.build": ("load_team",),
    "agents.config": ("AgentConfig", "TeamConfig"),
    "core.outcome": ("Outcome", "StopReason"),
    "core.rollout": ("Rollout",),
    "core.scoring": ("score",),
    "core.trace": ("Agents", "RolloutSettings", "Trace"),
    "core.types": ("Clip", "Evidence", "Question", "Subtitle", "Timeline"),
    "errors": ("DataError", "LongVideoAgentError", "ModelError", "ProtocolError", "UsageError"),
    "index.open": ("open_video",),
    "media.readers.base": ("VideoReader", "open_reader"),
    "media.subtitles.read": ("SubtitleOptions",),
    "media.video": ("Video",),
    "run": ("answer", "ask", "steps"),
    "views.trace_dict": ("trace_from_dict", "trace_to_dict"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
