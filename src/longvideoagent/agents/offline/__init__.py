"""The embedded team, which needs no key, no GPU and no download.

A retrieval baseline without a language model: grounding is BM25 over the subtitle lines, vision is optical character
recognition and classical computer vision, and the master weighs how well the evidence supports each option.
"""

from __future__ import annotations

from longvideoagent.agents.base import Team
from longvideoagent.agents.offline.grounding import OfflineGrounding
from longvideoagent.agents.offline.master import OfflineMaster
from longvideoagent.agents.offline.meaning import Meaning
from longvideoagent.agents.offline.vision import OfflineVision
from longvideoagent.core.actions import AGENT_NAMES
from longvideoagent.index.store import KeyValueCache
from longvideoagent.index.visible_objects import Detector

__all__ = ["Meaning", "OfflineGrounding", "OfflineMaster", "OfflineVision", "offline_team"]


def offline_team(
    cache: KeyValueCache | None = None, meaning: Meaning | None = None, detector: Detector | None = None
) -> Team:
    """The three embedded agents. ``cache`` keeps what vision detects; see ``OfflineVision``. With ``meaning``,
    grounding also compares lines with a question by meaning; with ``detector``, vision also looks for objects."""
    agents = OfflineMaster(), OfflineGrounding(meaning), OfflineVision(cache, detector)
    return Team("offline", *agents, offline_agents=frozenset(AGENT_NAMES), timeline_tools=True, cache=cache)
