"""Ask a question about a long video and get the answer with evidence one can seek to.

>>> from longvideoagent import ask
>>> trace = ask("talk.mp4", "What does the first slide say?")  # doctest: +SKIP
>>> trace.answer, trace.evidence  # doctest: +SKIP
"""

from longvideoagent.agents.team import Team
from longvideoagent.errors import DataError, LongVideoAgentError, ModelError, ProtocolError, UsageError
from longvideoagent.media.episode import Episode, open_episode
from longvideoagent.media.video import Video, open_video
from longvideoagent.rollout import Rollout
from longvideoagent.run import answer, ask, load_team, steps
from longvideoagent.scoring import chosen_option, score
from longvideoagent.types import Evidence, Question, Settings, Timeline, Trace

__all__ = [
    "DataError",
    "Episode",
    "Evidence",
    "LongVideoAgentError",
    "ModelError",
    "ProtocolError",
    "Question",
    "Rollout",
    "Settings",
    "Team",
    "Timeline",
    "Trace",
    "UsageError",
    "Video",
    "answer",
    "ask",
    "chosen_option",
    "load_team",
    "open_episode",
    "open_video",
    "score",
    "steps",
]
