"""Search in the lines of an index, without opening the video: full-text search finds candidates, and the rules of
``find`` in ``index.lines`` decide."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Literal

from longvideoagent.core.types import Subtitle
from longvideoagent.index.line_terms import text_language
from longvideoagent.index.lines import WordQuery, parse_words
from longvideoagent.index.schema import has_fts5
from longvideoagent.index.stored_text import TextKind, TextSummary
from longvideoagent.index.video_index import VideoIndex


def search_lines(index: VideoIndex, text: TextSummary, words: str) -> list[Subtitle]:
    """The lines of a stored text with these words.

    Args:
        index: The index of a video.
        text: One of its texts; ``build.current_text`` is the one that questions are answered from.
        words: As those of ``find``: words that a line has in any inflection, a text in quotes, ``by NAME`` at the end.

    Returns:
        The lines in order of time; none if the index cannot be used.
    """
    source: Literal["screen", "subtitle"] = "screen" if text.kind is TextKind.SCREEN else "subtitle"

    def work(database: sqlite3.Connection) -> list[Subtitle]:
        key = (text.kind, text.key)
        row: tuple[int] | None = database.execute("SELECT id FROM texts WHERE kind = ? AND key = ?", key).fetchone()
        if row is None:
            return []
        speakers = database.execute("SELECT DISTINCT speaker FROM lines WHERE text_id = ?", row)
        query = parse_words(words, (speaker for (speaker,) in speakers), text_language(database, *row))
        found = (each for each in _candidates(database, *row, query) if query.count(each[2]))
        return [Subtitle(start_s, end_s, line, source) for start_s, end_s, line in found]

    return index.read(work) or []


def _candidates(database: sqlite3.Connection, text_id: int, query: WordQuery) -> Iterable[tuple[float, float, str]]:
    """The lines that may match: those with all terms or, without terms or full-text search, all."""
    statement = "SELECT start_s, end_s, text FROM lines WHERE text_id = ?"
    values: list[object] = [text_id]
    if has_fts5() and query.terms:
        statement += " AND id IN (SELECT rowid FROM line_terms WHERE line_terms MATCH ?)"
        values = [text_id, " ".join('"' + term.replace('"', '""') + '"' for term in query.terms)]
    rows: Iterable[tuple[float, float, str]] = database.execute(f"{statement} ORDER BY start_s, id", values)
    return rows
