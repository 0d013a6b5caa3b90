"""Records of a JSON list or of JSON lines, each with the line it stands on, and what is wrong with them.

Files are read by the fastest way there is; lines are counted only where something is to be told of one.
"""

from __future__ import annotations

import csv
import gc
import io
import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from longvideoagent.datasets.json_scanner import (
    Decoder,
    Place,
    line_at,
    line_of_name,
    lines_of,
    name_before,
    places_in_list,
    whole_characters,
)
from longvideoagent.errors import DataError, UsageError, one_line

LARGEST_BYTES = 1_000_000_000
"""A file above this is no annotation file; TVQA's own are a few dozen megabytes."""
STANDS_TWICE = "stands twice in one object, and the last is taken; mend it"
HALF = "holds half of a character, which is read as ?; mend it"


@contextmanager
def collector_paused() -> Iterator[None]:
    """No garbage collection while records are read: all of them live on, and walking through them again and again
    takes a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            if not gc.get_freeze_count():
                gc.freeze()  # with the next line: all are old at once, and are not walked through here either
                gc.unfreeze()
            gc.enable()


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a file: where, in which field, and what. Line 0 is the file as a whole, and
    so is record 0."""

    path: Path
    line: int
    field: str
    told: str
    record: int = 0
    """Counted from 1, since some files hold all of their records on one line."""

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else str(self.path)
        where += f": record {self.record}" if self.record else ""
        return f"{where}: {self.field}: {self.told}" if self.field else f"{where}: {self.told}"


@dataclass(slots=True)
class Record:
    """One object of a file, by its place in it."""

    values: Mapping[str, Any]
    index: int
    file: RecordFile

    def problem(self, field: str, told: str) -> Problem:
        """Something wrong with a field of this record."""
        return Problem(self.file.path, self.file.line_of(self.index), field, told, self.index + 1)


@dataclass
class RecordFile:
    """A file of objects: a JSON list, JSON lines, a table, or one JSON object.

    ``problems`` holds, once it has been read, the lines that are no objects, which are no records, names that stand
    twice in an object, and halves of characters.
    """

    path: Path
    text: str
    problems: list[Problem] = field(default_factory=list)
    rows: Sequence[Mapping[str, Any]] | None = None
    """The records of a table, which has been read already."""
    halves: list[int] = field(default_factory=list)
    """Where halves of characters stood that are still to be told."""
    _json: Decoder = field(default_factory=Decoder)

    @classmethod
    def read(cls, path: Path) -> RecordFile:
        """JSON. Raises DataError where the file cannot be read at all."""
        text, halves = whole_characters(_read_text(path))
        return cls(path, text, halves=halves)

    @classmethod
    def read_csv(cls, path: Path) -> RecordFile:
        """A table with a line of names. Raises DataError where it cannot be read."""
        text = _read_text(path)
        try:
            return cls(path, text, rows=list(csv.DictReader(io.StringIO(text))))
        except csv.Error as error:
            raise DataError(f"{path}: no table ({error}); export it again as CSV") from error

    @classmethod
    def read_parquet(cls, path: Path) -> RecordFile:
        """A Parquet table. Raises DataError where it cannot be read, and UsageError without the extra."""
        with _parquet(path) as parquet:
            return cls(path, "", rows=parquet.read_table(path).to_pylist())

    @cached_property
    def opening(self) -> str:
        """The first mark that is no space: the bracket of a list or of an object."""
        found = re.search(r"\S", self.text)
        return found.group() if found else ""

    def records(self) -> Iterator[Record]:
        """The objects, in order. Raises DataError where a JSON list breaks off or is none."""
        if self.rows is not None:
            yield from (Record(values, index, self) for index, values in enumerate(self.rows))
        elif self.opening == "{" and (whole := self._object()) is not None:
            yield Record(whole, 0, self)
        elif self.opening == "[":
            for index, values in enumerate(self._whole()):
                if isinstance(values, dict):
                    yield Record(values, index, self)
                else:
                    self.problems.append(
                        Problem(self.path, self.line_of(index), "", "no JSON object; mend or delete it", index + 1)
                    )
        else:
            yield from self._of_lines()

    def mapping(self) -> dict[str, Any] | None:
        """The members of a file that is one JSON object; None for any other file. Raises DataError
        where it breaks off."""
        return self._mapping

    @cached_property
    def _mapping(self) -> dict[str, Any] | None:
        if self.opening != "{":
            return None
        try:
            told, twice = self._json.read(self.text)
        except (ValueError, RecursionError) as error:
            if self._is_lines(error):
                return None
            raise self._broken(error) from error
        self.problems += [Problem(self.path, line_of_name(self.text, name), name, STANDS_TWICE) for name in twice]
        halves = [(line_at(self.text, half), name_before(self.text, 0, half)) for half in self.halves]
        self.problems += [Problem(self.path, line, name, HALF) for line, name in dict.fromkeys(halves)]
        return told if isinstance(told, dict) else None

    def members(self) -> dict[str, Any]:
        """The members of a file that has to be one JSON object. Raises DataError where it is none."""
        told = self.mapping()
        if told is None:
            raise DataError(f"{self.path}: no JSON object of names; get it again")
        return told

    def _object(self) -> dict[str, Any] | None:
        """The file as one object, on however many lines; None where it is not one."""
        try:
            return self.mapping()
        except DataError:
            return None

    def _is_lines(self, error: Exception) -> bool:
        """Whether what is no JSON as a whole is one object a line: its first line is complete, or is broken
        itself and others follow."""
        read = self.text[: getattr(error, "pos", 0)].strip()
        first, _, rest = self.text.strip().partition("\n")
        return "Extra data" in str(error) or ("\n" not in read and first.strip() != "{" and bool(rest.strip()))

    @cached_property
    def _places(self) -> list[Place]:
        """Where each record begins."""
        return places_in_list(self.text) if self.opening == "[" else [place for place, _ in lines_of(self.text)]

    def line_of(self, index: int) -> int:
        """The line on which a record begins, from 1; of a table's, under its line of names."""
        if self.rows is not None:
            return index + 2 if self.text else 0
        return self._places[index][1] if index < len(self._places) else 0

    def place_of(self, index: int) -> str:
        """A record's place in words."""
        return f"line {self.line_of(index)} (record {index + 1})"

    def _whole(self) -> list[Any]:
        try:
            told, twice = self._json.read(self.text)
        except (ValueError, RecursionError) as error:
            raise self._broken(error) from error
        if twice:
            for index, (start, _) in enumerate(self._places):
                self._complain(index, self._json.read_at(self.text, start), STANDS_TWICE)
        self._tell_halves()
        return told if isinstance(told, list) else []

    def _of_lines(self) -> Iterator[Record]:
        for index, ((_, number), line) in enumerate(lines_of(self.text)):
            try:
                values, twice = self._json.read(line)
            except (ValueError, RecursionError) as error:
                self.problems.append(Problem(self.path, number, "", f"no JSON ({error}); mend or delete the line"))
            else:
                self._complain(index, twice, STANDS_TWICE)
                if isinstance(values, dict):
                    yield Record(values, index, self)
                else:
                    self.problems.append(Problem(self.path, number, "", "no JSON object; mend or delete the line"))
        self._tell_halves()

    def _complain(self, index: int, names: Iterable[str], told: str) -> None:
        """Something is wrong with members of a record."""
        self.problems += [Problem(self.path, self.line_of(index), name, told, index + 1) for name in names]

    def _tell_halves(self) -> None:
        starts = [start for start, _ in self._places] if self.halves else []
        inside = [(bisect_right(starts, half) - 1, half) for half in self.halves]
        named = [(index, name_before(self.text, starts[index], half)) for index, half in inside]
        for index, name in dict.fromkeys(named):
            self._complain(index, [name], HALF)

    def _broken(self, error: Exception) -> DataError:
        line = getattr(error, "lineno", 0)
        return DataError(f"{self.path}:{line}: broken JSON ({error}); is the file cut short? get it again")


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            told = f"{path.stat().st_size / 1e9:.1f} GB, more than any annotation file"
            raise DataError(f"{path}: {told}; check the path")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check the path") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: no UTF-8 text (byte {error.start}); export it again as JSON") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error


def columns_of(path: Path) -> set[str]:
    """The names of a Parquet table's columns. Raises DataError where it cannot be read, and UsageError without the
    extra."""
    with _parquet(path) as parquet:
        return set(parquet.read_schema(path).names)


@contextmanager
def _parquet(path: Path) -> Iterator[Any]:
    """The reader of Parquet, its errors told as ours."""
    if find_spec("pyarrow") is None:
        raise UsageError("pyarrow is not installed; pip install 'longvideoagent[parquet]'")
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        yield pq
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: no Parquet table ({one_line(error, 200)}); get it again") from error


def finite(value: object) -> float | None:
    """A number that is one; None for anything else, NaN and infinities among it."""
    if type(value) is float and math.isfinite(value):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):  # an integer can have more digits than a float holds
        return None
    return number if math.isfinite(number) else None
