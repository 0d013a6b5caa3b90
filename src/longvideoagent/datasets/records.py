"""Records of annotation files (a JSON list, JSON lines, CSV, Parquet), each with its line, and their problems.

Files are read by the fastest parser there is; lines are counted only when a problem is reported.
"""

from __future__ import annotations

import csv
import gc
import io
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

from longvideoagent.datasets.json_scanner import (
    DuplicateKeyDecoder,
    Position,
    iter_lines,
    line_of_key,
    lines_and_keys,
    list_item_positions,
    replace_unpaired_surrogates,
)
from longvideoagent.errors import DataError, one_line, require_extra

MAX_FILE_BYTES = 1_000_000_000
"""No annotation file is larger; TVQA's own are a few dozen megabytes."""
DUPLICATE_KEY = "duplicate key in one object, the last value is used; remove the other"
UNPAIRED_SURROGATE = "contains an unpaired surrogate, which is read as ?; fix the character"


@contextmanager
def gc_paused() -> Iterator[None]:
    """Pause garbage collection while records are read. All of them stay alive, and walking through them again and
    again takes a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            if not gc.get_freeze_count():
                gc.freeze()  # with the next line: all objects move to the oldest generation without being walked
                gc.unfreeze()
            gc.enable()


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a file: where, in which field, and what. Line 0 and record 0 mean the file as a whole."""

    path: Path
    line: int
    field: str
    message: str
    record: int = 0
    """Counted from 1, since some files have all of their records on one line."""

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else str(self.path)
        where += f": record {self.record}" if self.record else ""
        return f"{where}: {self.field}: {self.message}" if self.field else f"{where}: {self.message}"


@dataclass(slots=True)
class Record:
    """One object of a file, with its index in it."""

    values: Mapping[str, Any]
    index: int
    file: RecordFile

    def problem(self, field: str, message: str) -> Problem:
        """A problem of a field of this record."""
        return Problem(self.file.path, self.file.line_of(self.index), field, message, self.index + 1)


@dataclass
class RecordFile:
    """A file of objects: a JSON list, JSON lines, a table, or one JSON object.

    ``problems`` is complete once the file has been read: items that are not objects (and so not records), duplicate
    keys, and unpaired surrogates.
    """

    path: Path
    text: str
    problems: list[Problem] = field(default_factory=list)
    rows: Sequence[Mapping[str, Any] | None] | None = None
    """The records of a table, which is read at once; None for one that is left out."""
    surrogates: list[int] = field(default_factory=list)
    """Offsets of the unpaired surrogates, which become problems when the file is read."""
    _decoder: DuplicateKeyDecoder = field(default_factory=DuplicateKeyDecoder)

    @classmethod
    def read(cls, path: Path) -> RecordFile:
        """Read JSON. Raises DataError if the file cannot be read at all."""
        text, surrogates = replace_unpaired_surrogates(_read_text(path))
        return cls(path, text, surrogates=surrogates)

    @classmethod
    def read_csv(cls, path: Path) -> RecordFile:
        """Read a CSV table with a header line. Raises DataError if it cannot be read."""
        text = _read_text(path)
        try:
            return cls(path, text, rows=list(csv.DictReader(io.StringIO(text))))
        except csv.Error as error:
            raise DataError(f"{path}: not a CSV table ({error}); export it again as CSV") from error

    @classmethod
    def read_parquet(cls, path: Path) -> RecordFile:
        """Read a Parquet table. Raises DataError if it cannot be read, and UsageError without the extra."""
        with _parquet(path) as parquet:
            return cls(path, "", rows=parquet.read_table(path).to_pylist())

    @cached_property
    def first_character(self) -> str:
        """The first character that is not white space: the bracket of a list or of an object."""
        match = re.search(r"\S", self.text)
        return match.group() if match else ""

    def records(self) -> Iterator[Record]:
        """The objects, in order. Raises DataError for a JSON list that is broken or cut short."""
        if self.rows is not None:
            yield from (Record(values, index, self) for index, values in enumerate(self.rows) if values is not None)
        elif self.first_character == "{" and (document := self._object_or_none()) is not None:
            yield Record(document, 0, self)
        elif self.first_character == "[":
            for index, values in enumerate(self._list_items()):
                if isinstance(values, dict):
                    yield Record(values, index, self)
                else:
                    message = "not a JSON object; fix or delete it"
                    self.problems.append(Problem(self.path, self.line_of(index), "", message, index + 1))
        else:
            yield from self._json_lines()

    def mapping(self) -> dict[str, Any] | None:
        """The members of a file that is one JSON object; None for any other file. Raises DataError if the file is
        broken or cut short."""
        return self._mapping

    @cached_property
    def _mapping(self) -> dict[str, Any] | None:
        if self.first_character != "{":
            return None
        try:
            document, duplicates = self._decoder.decode(self.text)
        except (ValueError, RecursionError) as error:
            if self._is_json_lines(error):
                return None
            raise self._broken(error) from error
        self.problems += [Problem(self.path, line_of_key(self.text, key), key, DUPLICATE_KEY) for key in duplicates]
        places = dict.fromkeys(lines_and_keys(self.text, self.surrogates))
        self.problems += [Problem(self.path, line, key, UNPAIRED_SURROGATE) for line, key in places]
        return document if isinstance(document, dict) else None

    def members(self) -> dict[str, Any]:
        """The members of a file that has to be one JSON object. Raises DataError for any other file."""
        members = self.mapping()
        if members is None:
            raise DataError(f"{self.path}: not a JSON object; download it again")
        return members

    def _object_or_none(self) -> dict[str, Any] | None:
        """The file as one object, on any number of lines, or None."""
        try:
            return self.mapping()
        except DataError:
            return None

    def _is_json_lines(self, error: Exception) -> bool:
        """Whether text that is not JSON as a whole has one object a line: its first line is complete, or is itself
        broken and others follow."""
        parsed = self.text[: getattr(error, "pos", 0)].strip()
        first, _, rest = self.text.strip().partition("\n")
        return "Extra data" in str(error) or ("\n" not in parsed and first.strip() != "{" and bool(rest.strip()))

    @cached_property
    def _positions(self) -> list[Position]:
        """Where each record begins."""
        if self.first_character == "[":
            return list_item_positions(self.text)
        return [position for position, _ in iter_lines(self.text)]

    def line_of(self, index: int) -> int:
        """The line on which a record begins, from 1; in a CSV table the header is line 1. 0 if unknown."""
        if self.rows is not None:
            return index + 2 if self.text else 0
        return self._positions[index].line if index < len(self._positions) else 0

    def describe_position(self, index: int) -> str:
        """The position of a record in words."""
        return f"line {self.line_of(index)} (record {index + 1})"

    def _list_items(self) -> list[Any]:
        try:
            items, duplicates = self._decoder.decode(self.text)
        except (ValueError, RecursionError) as error:
            raise self._broken(error) from error
        if duplicates:
            for index, position in enumerate(self._positions):
                self._add_problems(index, self._decoder.duplicates_at(self.text, position.offset), DUPLICATE_KEY)
        self._add_surrogate_problems()
        return items if isinstance(items, list) else []

    def _json_lines(self) -> Iterator[Record]:
        for index, (position, line) in enumerate(iter_lines(self.text)):
            try:
                values, duplicates = self._decoder.decode(line)
            except (ValueError, RecursionError) as error:
                message = f"not JSON ({error}); fix or delete the line"
                self.problems.append(Problem(self.path, position.line, "", message))
            else:
                self._add_problems(index, duplicates, DUPLICATE_KEY)
                if isinstance(values, dict):
                    yield Record(values, index, self)
                else:
                    message = "not a JSON object; fix or delete the line"
                    self.problems.append(Problem(self.path, position.line, "", message))
        self._add_surrogate_problems()

    def _add_problems(self, index: int, keys: Iterable[str], message: str) -> None:
        """Add the same problem for several members of a record."""
        self.problems += [Problem(self.path, self.line_of(index), key, message, index + 1) for key in keys]

    def _add_surrogate_problems(self) -> None:
        starts = [position.offset for position in self._positions] if self.surrogates else []
        for index, offsets in groupby(self.surrogates, lambda offset: bisect_right(starts, offset) - 1):
            keys = [key for _, key in lines_and_keys(self.text, offsets, self._positions[index])]
            self._add_problems(index, dict.fromkeys(keys), UNPAIRED_SURROGATE)

    def _broken(self, error: Exception) -> DataError:
        line = getattr(error, "lineno", 0)
        return DataError(f"{self.path}:{line}: broken JSON ({error}); is the file cut short? download it again")


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            size = f"{path.stat().st_size / 1e9:.1f} GB"
            raise DataError(f"{path}: {size} is too large for an annotation file; check the path")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check the path") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text (byte {error.start}); export it again as JSON") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from error


def parquet_columns(path: Path) -> set[str]:
    """The column names of a Parquet table. Raises DataError if it cannot be read, and UsageError without the
    extra."""
    with _parquet(path) as parquet:
        return set(parquet.read_schema(path).names)


@contextmanager
def _parquet(path: Path) -> Iterator[Any]:
    """The module ``pyarrow.parquet``; its errors become DataError."""
    require_extra("pyarrow", extra="parquet")
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        yield pq
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:  # text and times of no Python value
        raise DataError(f"{path}: not a Parquet table ({one_line(error, 200)}); download it again") from error
