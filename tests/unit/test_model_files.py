"""Models that are given by the name of their weights, or as a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from longvideoagent.errors import DataError, UsageError
from longvideoagent.weights.files import open_model_files
from longvideoagent.weights.store import weights_dir
from tests.plugins.weights import WeightsHome

FILES = {"model.onnx": b"graph", "labels.txt": b"dog\n"}


def fill(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    return folder


def test_model_files_of_folder_and_of_weights(weights_home: WeightsHome, tmp_path: Path) -> None:
    folder = fill(tmp_path / "mine")
    (folder / "notes.txt").write_text("not read")
    given = open_model_files(str(folder), [*FILES, "other.bin"], "sound")
    assert given.name == "mine"
    assert given.paths == {name: folder / name for name in FILES}
    kept = fill(weights_dir(weights_home.describe(FILES)))
    named = open_model_files("tiny", FILES, "sound")
    assert (named.name, named.digest) == ("tiny", given.digest)
    assert named.paths == {name: kept / name for name in FILES}
    (folder / "labels.txt").write_bytes(b"cat\n")
    assert open_model_files(str(folder), FILES, "sound").digest != given.digest
    (kept / "labels.txt").write_bytes(b"cat\n")
    with pytest.raises(DataError, match=r"its SHA-256 is .*; lva weights get tiny replaces it"):
        open_model_files("tiny", FILES, "sound")


def test_model_files_unknown(weights_home: WeightsHome) -> None:
    """Only weights that such a model may have are offered."""
    for extra, names in (("sound", "a folder"), ("objects", "dfine-nano or a folder")):
        with pytest.raises(UsageError, match=rf"^x: no such weights or folder; give {names}; docs/{extra}\.md says"):
            open_model_files("x", FILES, extra)
    weights_home.describe(FILES)  # for no extra by its entry, so for any
    with pytest.raises(UsageError, match="give tiny or a folder;"):
        open_model_files("x", FILES, "sound")
    weights_home.describe({"model.bin": b"x"})
    with pytest.raises(UsageError, match="give a folder;"):
        open_model_files("x", FILES, "sound")


@pytest.mark.parametrize("name", ["", "/", "."])
def test_model_files_names_of_no_model(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if name:
        assert open_model_files(name, FILES, "sound").name
    else:
        with pytest.raises(UsageError, match=r"^'': no such weights or folder"):
            open_model_files(name, FILES, "sound")


def test_model_files_of_other_weights(weights_home: WeightsHome) -> None:
    """Weights that are not such a model are not downloaded for it."""
    weights_home.describe({"model.bin": b"x"})
    with pytest.raises(UsageError, match=r"^tiny: these weights have none of model\.onnx, labels\.txt; give others"):
        open_model_files("tiny", FILES, "sound")
