"""Records of a JSON list or of JSON lines, each with the line it stands on, and what is wrong with them.

Files are read by the fastest way there is; lines are counted only where something is to be told of one.
"""

from __future__ import annotations

import csv
import gc
import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from longvideoagent.errors import DataError, UsageError, one_line

LARGEST_BYTES = 1_000_000_000
"""A file above this is no annotation file; TVQA's own are a few dozen megabytes."""


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

    ``problems`` holds the lines that are no objects; they are no records.
    """

    path: Path
    text: str
    problems: list[Problem] = field(default_factory=list)
    rows: Sequence[Mapping[str, Any]] | None = None
    """The records of a table, which has been read already."""
    _lines: list[int] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> RecordFile:
        """Raises DataError where the file cannot be read at all."""
        try:
            if path.stat().st_size > LARGEST_BYTES:
                raise DataError(
                    f"{path}: {path.stat().st_size / 1e9:.1f} GB, more than any annotation file; check the path"
                )
            return cls(path, path.read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            raise DataError(f"{path}: no such file; check the path") from None
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: no UTF-8 text (byte {error.start}); export it again as JSON") from None
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error

    @classmethod
    def read_csv(cls, path: Path) -> RecordFile:
        """A table with a line of names. Raises DataError where it cannot be read."""
        file = cls.read(path)
        try:
            file.rows = list(csv.DictReader(io.StringIO(file.text)))
        except csv.Error as error:
            raise DataError(f"{path}: no table ({error}); export it again as CSV") from error
        return file

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
        if self.opening != "{":
            return None
        try:
            told = json.loads(self.text)
        except (ValueError, RecursionError) as error:
            if self._is_lines(error):
                return None
            raise self._broken(error) from error
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

    def line_of(self, index: int) -> int:
        """The line on which a record begins, from 1; of a table's, under its line of names."""
        if self.rows is not None:
            return index + 2 if self.text else 0
        if not self._lines:
            self._lines = _lines_of_list(self.text) if self.opening == "[" else _lines_of_lines(self.text)
        return self._lines[index] if index < len(self._lines) else 0

    def place_of(self, index: int) -> str:
        """A record's place in words."""
        return f"line {self.line_of(index)} (record {index + 1})"

    def _whole(self) -> list[Any]:
        try:
            told = json.loads(self.text)
        except (ValueError, RecursionError) as error:
            raise self._broken(error) from error
        return told if isinstance(told, list) else []

    def _of_lines(self) -> Iterator[Record]:
        for index, (number, line) in enumerate(_lines(self.text)):
            try:
                values = json.loads(line)
            except (ValueError, RecursionError) as error:
                self.problems.append(Problem(self.path, number, "", f"no JSON ({error}); mend or delete the line"))
            else:
                if isinstance(values, dict):
                    yield Record(values, index, self)
                else:
                    self.problems.append(Problem(self.path, number, "", "no JSON object; mend or delete the line"))

    def _broken(self, error: Exception) -> DataError:
        line = getattr(error, "lineno", 0)
        return DataError(f"{self.path}:{line}: broken JSON ({error}); is the file cut short? get it again")


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


def _lines_of_list(text: str) -> list[int]:
    """The line on which each element of a JSON list begins."""
    decoder = json.JSONDecoder()
    lines: list[int] = []
    line, counted = 1, 0
    at = text.index("[") + 1
    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        if at >= len(text) or text[at] == "]":
            return lines
        line += text.count("\n", counted, at)
        counted = at
        lines.append(line)
        _, at = decoder.raw_decode(text, at)


def _lines_of_lines(text: str) -> list[int]:
    return [number for number, _ in _lines(text)]


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, numbered from 1, one at a time: the text is large."""
    start = number = 0
    while start < len(text):
        number += 1
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        line = text[start:end]
        if line.strip():
            yield number, line
        start = end + 1


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
