"""The embedded team: no key, no GPU, no download.

A retrieval baseline and no language model: grounding is BM25 over the lines, vision is optical
character recognition and classical computer vision, and the master weighs how well the evidence
supports each option.
"""

from __future__ import annotations

from longvideoagent.agents.base import Team
from longvideoagent.agents.offline.grounding import OfflineGrounding
from longvideoagent.agents.offline.master import OfflineMaster
from longvideoagent.agents.offline.vision import OfflineVision
from longvideoagent.models.cache import KeyValueCache

__all__ = ["OfflineGrounding", "OfflineMaster", "OfflineVision", "offline_team"]


def offline_team(memory: KeyValueCache | None = None) -> Team:
    """The embedded three. ``memory`` keeps what vision saw; see ``OfflineVision``."""
    return Team("offline", OfflineMaster(), OfflineGrounding(), OfflineVision(memory), memory=memory)
