"""Where a server may stop a master that writes tags: at the end of its action, and at what only the loop writes.

A small model often goes on after its action, or begins with an observation of its own. What it then writes costs time,
and an action that rests on a made-up observation would count.
"""

from __future__ import annotations

import re
from functools import lru_cache

from longvideoagent.core.actions import LOOK_TAGS, Answer, Look, Relocate, offered_specs
from longvideoagent.core.layout import PromptLayout
from longvideoagent.core.protocol import ACTION_TAGS, MAX_STOP_TEXTS
from longvideoagent.core.reasoning import THOUGHT_TAGS
from longvideoagent.core.trace import RolloutSettings

_BY_USE = (Answer, Look, Relocate)
"""The actions whose ends matter most: nothing is observed after an answer, and most actions are looks."""
_OPENING_TAG = re.compile(r"\s*(<[A-Za-z_][\w.-]*>)")


@lru_cache(maxsize=64)
def observation_starts(layout: PromptLayout) -> tuple[str, ...]:
    """The tags with which the observations of a layout begin, that of a look first.

    An observation that begins in plain words has none, since a thought may have the same words. A tag that a master
    writes itself is left out.
    """
    templates = (layout.vision_result, layout.new_clip, layout.notice, layout.invalid_reply)
    own = {f"<{tag}>" for tag in (*ACTION_TAGS, *THOUGHT_TAGS)}
    matches = [_OPENING_TAG.match(template) for template in templates]
    return tuple(dict.fromkeys(match[1] for match in matches if match is not None and match[1].lower() not in own))


@lru_cache(maxsize=64)
def stop_texts(
    layout: PromptLayout, look_tag: str, settings: RolloutSettings, *, actions_anywhere: bool = False
) -> tuple[str, ...]:
    """The texts at which a server may stop a reply: the most useful ``MAX_STOP_TEXTS``, since some servers refuse more.

    Args:
        layout: The wording of the observations and of the prompt.
        look_tag: The spelling of the look action that the prompt offers, unless the layout's prompt spells it itself.
        settings: Which actions there are.
        actions_anywhere: As in ``protocol.parse``.

    Returns:
        The beginnings of observations, then the ends of actions. What is left out is the end of an action whose
        made-up observation is a stop text. With ``actions_anywhere`` the ends are first, because an action that
        follows another one may have precedence.
    """
    specs = offered_specs(settings.agents.names, settings.timeline_tools)
    specs.sort(key=lambda spec: _BY_USE.index(spec.type) if spec.type in _BY_USE else len(_BY_USE))
    spelling = next((tag for tag in LOOK_TAGS if f"<{tag}>" in layout.prompt), look_tag)
    ends = tuple(f"</{spelling if spelling in spec.tags else spec.tags[0]}>" for spec in specs)
    starts = observation_starts(layout)
    return (ends + starts if actions_anywhere else starts + ends)[:MAX_STOP_TEXTS]
