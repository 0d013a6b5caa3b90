"""Words that this project does not use, and the words that it uses instead (CONTRIBUTING.md, style)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLACES = (
    "src", "tests", "docs", "examples", "benchmarks", "configs", "README.md", "CHANGELOG.md", "CONTRIBUTING.md",
    "SECURITY.md", "RELEASING.md", "Makefile", "pyproject.toml",
)  # fmt: skip
SUFFIXES = {".py", ".md", ".toml", ".yaml", ".yml", ".json", ".js", ".mjs", ".css", ".html", ".j2", ".txt", ""}
INSTEAD = {
    r"told": "states, sends, prints; as a variable: the thing",
    r"tells": "states, sends, prints",
    r"bears": "allows",
    r"hurried": "must_answer",
    r"tongue": "format",
    r"lessons?": "training sample",
    r"school": "context",
    r"shelf": "cache",
    r"mend(?:ed|s)?": "fix",
    r"anew": "again",
    r"beforehand": "in advance",
    r"where there is none": "or None",
    r"(?<=[._])heard|heard(?=[_(])": "on_text, requests; of sounds it is plain English",
    r"(?<!there )(?:is|are) no(?= (?!longer|more|less|fewer))": "is not a, are not",
    r"at hand": "available",
    r"wherein": "in which",
}


EXEMPT = {
    "src/longvideoagent/datasets/synthetic/scenario.py",
    "src/longvideoagent/views/trace_migrations.py",
    "tests/plugins/old_formats.py",
    "tests/web/test_job_records.py",
}
"""The dialogue of synthetic episodes, and files that name the fields of formats written before 0.1.0."""


def files(place: str) -> Iterator[Path]:
    path = ROOT / place
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        exempt = file == Path(__file__) or str(file.relative_to(ROOT)) in EXEMPT
        if file.is_file() and file.suffix in SUFFIXES and not exempt:
            yield file


def banned(text: str) -> Iterator[tuple[int, str, str]]:
    """Line number, the words found, and what to write."""
    for pattern, instead in INSTEAD.items():
        for match in re.finditer(rf"(?<![a-z])(?:{pattern})(?![a-z])", text, re.IGNORECASE):
            yield text.count("\n", 0, match.start()) + 1, match[0], instead


@pytest.mark.parametrize("place", PLACES)
def test_language_banned_words(place: str) -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{line}: {word!r}; write: {instead}"
        for path in files(place)
        for line, word, instead in banned(path.read_text(encoding="utf-8"))
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It is told.", ["told"]),
        ("told_s and retold", ["told"]),
        ("Where\nThere is no lesson that is no longer a Lesson", ["lesson", "Lesson"]),
        ("This is no video, and these are no frames", ["is no", "are no"]),
        ("recommended", []),
    ],
)
def test_language_words_found(text: str, words: list[str]) -> None:
    assert sorted(word for _, word, _ in banned(text)) == sorted(words)
