"""Which labels of detectors a question's words name: those of AudioSet (521 in YAMNet) and COCO (80) are in English.

A label may have several names, as ``Gunshot, gunfire`` has. Words match a name if one of them has all terms of the
other: ``car`` names ``Car passing by``, and ``sports car`` names ``Car``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from longvideoagent.index.terms import terms

_EVERYDAY = {
    "animal": "bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe",
    "anybody anyone human man men woman women boy girl child children kid people somebody someone pedestrian": "person",
    "bag": "backpack, handbag, suitcase",
    "ball": "sports ball",
    "bike": "bicycle, motorcycle",
    "blast boom detonate detonation explode": "explosion",
    "cellphone phone smartphone": "cell phone",
    "cheer": "cheering",
    "applaud clap": "applause, clapping",
    "computer": "laptop",
    "fridge": "refrigerator",
    "gun shoot shot": "gunshot",
    "kitten": "cat",
    "laugh": "laughter",
    "lorry": "truck",
    "monitor television": "tv",
    "motorbike": "motorcycle",
    "aeroplane aircraft plane": "airplane",
    "plant": "potted plant",
    "puppy": "dog",
    "scream": "screaming",
    "ship": "boat",
    "sing song": "singing",
    "sofa": "couch",
    "speak talk voice": "speech",
    "table": "dining table",
    "vehicle": "bicycle, car, motorcycle, airplane, bus, train, truck, boat",
}
"""Everyday words, and the names that they stand for besides themselves."""

SILENCE = "silence"
"""The label of AudioSet for what has no sound."""
_OTHER_THINGS = frozenset({"hot dog", "teddy bear"})
"""Labels that are not a kind of what their last word names, so that neither of the two names the other."""


def matching_labels(words: str, labels: Iterable[str]) -> frozenset[str]:
    """The labels that words name, in English.

    Args:
        words: As a question has them, such as ``a barking dog``.
        labels: Those of a detector.

    Returns:
        The labels; none if the words name none.
    """
    wanted = _terms(words)
    labels_of = _labels_of_terms(frozenset(labels))
    everyday = frozenset(name for term in wanted for name in _everyday().get(term, ()))
    sharing = {label for term in wanted.union(*everyday) for label in labels_of.get(term, ())}
    return frozenset(label for label in sharing if _is_named(label, wanted, everyday))


def covering_labels(words: str, labels: Iterable[str]) -> frozenset[str]:
    """The labels without which nothing that the words name can be there: those of all of it, or of more.

    Args:
        words: As a question has them, such as ``a barking dog``.
        labels: Those of a detector.

    Returns:
        ``Dog`` for a barking dog, but not ``Cat`` for an animal; none if the words name no label, or only parts.
    """
    wanted = _terms(words)
    every = [_everyday().get(term, ()) for term in wanted]
    # An everyday word beside others may be another one: a long shot is not a gunshot.
    everyday = {names[0] for names in every if len(names) == 1} if all(every) else set()
    return frozenset(
        label
        for label in matching_labels(words, labels)
        if label.casefold() != SILENCE and any(name <= wanted or name in everyday for name in _names(label))
    )


def _is_named(label: str, wanted: frozenset[str], everyday: frozenset[frozenset[str]]) -> bool:
    names = _names(label)
    if label.casefold() in _OTHER_THINGS:
        return any(name <= wanted for name in names)
    others = [thing for thing in map(_terms, _OTHER_THINGS) if thing <= wanted]
    rest = wanted.difference(*others)
    return any(name <= rest or wanted <= name or name in everyday for name in names)


@lru_cache(maxsize=64)
def _labels_of_terms(labels: frozenset[str]) -> dict[str, list[str]]:
    """The labels by each term of their names: a question has many words, and there may be thousands of labels."""
    found: dict[str, list[str]] = {}
    for label in labels:
        for term in frozenset[str]().union(*_names(label)):
            found.setdefault(term, []).append(label)
    return found


@lru_cache(maxsize=10_000)
def _names(label: str) -> tuple[frozenset[str], ...]:
    return tuple(name for name in map(_terms, label.split(",")) if name)


@lru_cache(maxsize=1024)
def _terms(name: str) -> frozenset[str]:
    return frozenset(terms(name))


@lru_cache(maxsize=1)
def _everyday() -> dict[str, tuple[frozenset[str], ...]]:
    found: dict[str, tuple[frozenset[str], ...]] = {}
    for words, labels in _EVERYDAY.items():
        for term in terms(words):
            found[term] = tuple(map(_terms, labels.split(",")))
    return found
