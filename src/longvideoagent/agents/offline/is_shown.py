"""Whether detections show what a query asks for.

Detections know text, colours, movement and faces, and objects only if a detector looked. A query for one of the other
kinds is answered by any detection of the kind ("what does the sign say?"); its other words have to be found ("a red
car" needs "car", which a detection of red does not show).
"""

from __future__ import annotations

from collections.abc import Collection

from longvideoagent.agents.offline.vision_wording import DetectionKind, kind_of
from longvideoagent.index.event_labels import matching_labels
from longvideoagent.index.terms import terms
from longvideoagent.media.cv import COLOURS
from longvideoagent.media.text_columns import QUOTED

_GENERIC = frozenset(
    terms("show shown visible see seen look picture image frame scene video moment background closely around something")
    + terms("left right top bottom middle up down")
)
"""Words of queries that name nothing, or only a place in the picture."""
_COLOUR_NAMES = frozenset(terms(" ".join(COLOURS)))
_KINDS = (
    (
        frozenset(terms("text word sign slide title caption subtitle screen read written say letter label name")),
        frozenset({DetectionKind.TEXT}),
    ),
    (frozenset(terms("colour color")), frozenset(DetectionKind)),
    (
        frozenset(terms("move movement motion change cut")),
        frozenset({DetectionKind.MOVEMENT, DetectionKind.PICTURE_CHANGE}),
    ),
    (frozenset(terms("face person people")), frozenset({DetectionKind.FACES})),
)
"""Terms of queries, and the kinds of detections that they ask for: a colour may be that of anything."""


def is_shown(query: str, texts: Collection[str], labels: Collection[str] = ()) -> bool:
    """Whether detections, given by their texts, and objects, given by their labels, show what ``query`` asks for."""
    wanted = set(terms(query)) - _GENERIC
    if not wanted:
        return bool(texts or labels)
    colours = {term for text in texts for term in terms(text)}
    if matching_labels(query, labels):
        return wanted & _COLOUR_NAMES <= colours
    asked = [(names, kinds) for names, kinds in _KINDS if names & wanted]
    named = wanted - _COLOUR_NAMES - {name for names, _ in asked for name in names}
    if named:
        return any(named & set(terms(text)) for each in texts for text in QUOTED.findall(each))
    shown = set(map(kind_of, texts))
    return all(kinds & shown for _, kinds in asked) and wanted & _COLOUR_NAMES <= colours
