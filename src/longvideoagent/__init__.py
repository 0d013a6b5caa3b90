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
    from longvideoagent.agents.config import Roster
    from longvideoagent.core.rollout import Rollout
    from longvideoagent.core.scoring import score
    from longvideoagent.core.trace import Outcome, Settings, Trace
    from longvideoagent.core.types import Evidence, Question, Timeline
    from longvideoagent.errors import DataError, LongVideoAgentError, ModelError, ProtocolError, UsageError
    from longvideoagent.media.readers.base import Video, open_video
    from longvideoagent.media.video import Episode, open_episode
    from longvideoagent.run import answer, ask, steps

__all__ = [
    "DataError",
    "Episode",
    "Evidence",
    "LongVideoAgentError",
    "ModelError",
    "Outcome",
    "ProtocolError",
    "Question",
    "Rollout",
    "Roster",
    "Settings",
    "Team",
    "Timeline",
    "Trace",
    "UsageError",
    "Video",
    "answer",
    "ask",
    "load_team",
    "open_episode",
    "open_video",
    "score",
    "steps",
]

_ROOM_OF = {
    "agents.build": ("load_team",),
    "agents.config": ("Roster",),
    "agents.base": ("Team",),
    "errors": ("DataError", "LongVideoAgentError", "ModelError", "ProtocolError", "UsageError"),
    "media.video": ("Episode", "open_episode"),
    "media.readers.base": ("Video", "open_video"),
    "core.rollout": ("Rollout",),
    "run": ("answer", "ask", "steps"),
    "core.scoring": ("score",),
    "core.trace": ("Outcome", "Settings", "Trace"),
    "core.types": ("Evidence", "Question", "Timeline"),
}


def __getattr__(name: str) -> Any:
    for room, names in _ROOM_OF.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{room}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
