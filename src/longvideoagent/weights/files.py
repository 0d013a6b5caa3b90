"""The files of a model that is given by the name of its weights, or as a folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from longvideoagent.errors import DataError, UsageError, read_problem
from longvideoagent.weights.manifest import known_weights
from longvideoagent.weights.store import file_sha256, open_weights


class ModelFiles(NamedTuple):
    """Files that are there."""

    name: str
    """Of the weights, or of the folder."""
    paths: Mapping[str, Path]
    """By the name that each has in the folder."""
    digest: str
    """Changes with the bytes of the files."""


def open_model_files(name: str, files: Collection[str], extra: str) -> ModelFiles:
    """Find the files of a model on this machine.

    Args:
        name: Known weights, whose files are verified; or a folder, whose files are used as they are.
        files: Those that the model may have. Others of a folder are not read.
        extra: The extra that uses the model. The page of this name in ``docs`` says what belongs in a folder.

    Returns:
        Those of them that exist.

    Raises:
        UsageError: There are neither weights nor a folder of this name; the message lists weights that may do.
        DataError: A file of known weights is not on this machine or has other bytes, or a file cannot be read.
    """
    known = known_weights()
    if name in known:
        if not any(known[name].file(file) for file in files):
            raise UsageError(f"{name}: these weights have none of {', '.join(files)}; give others, or a folder")
        paths = open_weights(known[name])
        digests = {file.file: file.sha256 for file in known[name].files}
    else:
        folder = Path(os.path.expanduser(name)).absolute()  # noqa: PTH111 (Path's own raises on an unknown ~user)
        if not (name and folder.is_dir()):
            fitting = [each.name for each in known.values() if each.may_be_for(extra) and any(map(each.file, files))]
            fix = f"give {' or '.join([*fitting, 'a folder'])}; docs/{extra}.md says what is in one"
            raise UsageError(f"{name or repr(name)}: no such weights or folder; {fix}")
        paths = {file: folder / file for file in files if (folder / file).is_file()}
        digests = {file: _sha256(path) for file, path in paths.items()}
    used = sorted(file for file in paths if file in files)
    text = "".join(f"{file}\0{digests[file]}\0" for file in used)
    return ModelFiles(
        Path(name).absolute().name or name,
        {file: paths[file] for file in used},
        hashlib.sha256(text.encode()).hexdigest(),
    )


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({read_problem(error)}); check its permissions") from error
