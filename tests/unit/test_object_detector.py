"""Detection of objects by a network in ONNX."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from longvideoagent.errors import DataError, UsageError
from longvideoagent.index.visible_objects import Box, VisibleObject, count_objects, object_text
from longvideoagent.models.object_detector import COCO, MIN_SCORE, ObjectDetector, load_detector
from longvideoagent.weights.manifest import find_weights
from longvideoagent.weights.store import size_problem, weights_dir
from tests.fakes.tiny_detector import Cell, draw_cells, tiny_detector, write_detector
from tests.plugins.weights import WeightsHome


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> ObjectDetector:
    return load_detector(str(write_detector(tmp_path_factory.mktemp("detector") / "tiny")))


@pytest.mark.parametrize("size", [(320, 180), (64, 64), (90, 160), (7, 5)])
def test_detector_labels_and_boxes(detector: ObjectDetector, size: tuple[int, int]) -> None:
    (person,) = detector.detect(draw_cells([("person", 1, 2)], (320, 180)))
    assert (person.label, person.box) == ("person", Box(0.25, 0.5, 0.5, 0.75))
    assert person.score > 0.99
    assert detector.detect(draw_cells([], size)) == []
    found = detector.detect(draw_cells([("dog", 0, 0), ("dog", 3, 3), ("person", 2, 0)]))
    assert sorted((each.label, each.box.left) for each in found) == [("dog", 0.0), ("dog", 0.75), ("person", 0.5)]


cells = st.lists(st.tuples(st.sampled_from(["person", "dog"]), st.integers(0, 3), st.integers(0, 3)), max_size=16)


@given(cells=cells.map(lambda drawn: list({each[1:]: each for each in drawn}.values())))
def test_detector_finds_what_is_drawn(cells: list[Cell], detector: ObjectDetector) -> None:
    found = detector.detect(draw_cells(cells))
    assert sorted((each.label, each.box.left * 4, each.box.top * 4) for each in found) == sorted(cells)
    assert all(each.score >= MIN_SCORE for each in found)


def test_detector_unsure_left_out(detector: ObjectDetector) -> None:
    """A logit of 20 x - 10 for a share x of red: 0.4 is reached at x = 0.48."""
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[:, :, 0] = round(255 * 0.47)
    assert detector.detect(frame) == []
    frame[:, :, 0] = round(255 * 0.49)
    assert [each.score for each in detector.detect(frame)] == [pytest.approx(0.45, abs=0.02)] * 16


def test_detector_without_labels_is_of_coco(tmp_path: Path) -> None:
    folder = write_detector(tmp_path / "coco", tiny_detector(num_classes=80), labels=None)
    detector = load_detector(str(folder))
    assert detector.labels == COCO
    assert [each.label for each in detector.detect(draw_cells([("dog", 1, 1)]))] == ["bicycle"]


def test_detector_of_any_size(tmp_path: Path) -> None:
    detector = load_detector(str(write_detector(tmp_path, tiny_detector(side_px="side"))))
    assert [each.label for each in detector.detect(draw_cells([("dog", 3, 0)]))] == ["dog"]


def test_detector_identity(tmp_path: Path) -> None:
    folder = write_detector(tmp_path / "one")
    one = load_detector(str(folder))
    assert one.name == "one"
    assert load_detector(str(write_detector(tmp_path / "two"))).identity == one.identity
    write_detector(folder, labels="cat\ndog")
    assert load_detector(str(folder)).identity != one.identity


@pytest.mark.parametrize(
    ("model", "labels", "problem"),
    [
        (tiny_detector()[:-100], "a\nb", "model.onnx: "),
        (b"", "a\nb", "model.onnx: "),
        (tiny_detector(inputs=["images"]), "a\nb", "it has the inputs images and the outputs logits, pred_boxes"),
        (tiny_detector(inputs=["pixel_values", "sizes"]), "a\nb", "it has the inputs pixel_values, sizes and"),
        (tiny_detector(side_px=4096), "a\nb", "reads frames of 4096x4096; give one that reads at most 2048 pixels"),
        (
            tiny_detector(box_columns=3),
            "a\nb",
            "it gives logits (1, 16, 2) and pred_boxes (1, 16, 3), and one gives (1, queries, classes)",
        ),
        (tiny_detector(is_finite=False), "a\nb", "model.onnx: gives values that are not numbers; replace the file"),
        (None, "a\nb\nc", "labels.txt: has 3 labels, and model.onnx has 2 classes; give one for each"),
        (None, "\nb", "labels.txt: label 1 has 0 characters; write the label of that class"),
        (None, "a\n" + "b" * 101, "labels.txt: label 2 has 101 characters; write the label"),
        (None, "a\nb\x1b[31m", "labels.txt: label 2 has a control character; write the label"),
        (None, None, "model.onnx: has 2 classes and no labels; put labels.txt with a label on each line next to it"),
    ],
    ids=[
        "cut",
        "empty",
        "other input",
        "two inputs",
        "too large",
        "boxes",
        "NaN",
        "labels",
        "empty label",
        "long label",
        "terminal escape",
        "none",
    ],
)
def test_detector_wrong_files_refused(tmp_path: Path, model: bytes | None, labels: str | None, problem: str) -> None:
    folder = write_detector(tmp_path / "wrong", model, labels)
    with pytest.raises(DataError, match=re.escape(problem)) as caught:
        load_detector(str(folder))
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_detector_of_several_files_refused(tmp_path: Path) -> None:
    """A graph may not name other files of this machine."""
    import onnx

    model = onnx.load_model_from_string(tiny_detector())
    folder = write_detector(tmp_path / "wrong")
    path = folder / "model.onnx"
    onnx.save_model(model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert (folder / "weights.bin").exists()
    with pytest.raises(DataError, match=r"model\.onnx: ") as caught:
        load_detector(str(folder))
    assert "\n" not in str(caught.value)


def test_detector_labels_of_another_encoding_refused(tmp_path: Path) -> None:
    folder = write_detector(tmp_path / "wrong")
    (folder / "labels.txt").write_bytes(b"caf\xe9\ndog")
    with pytest.raises(DataError, match=r"labels\.txt: UnicodeDecodeError"):
        load_detector(str(folder))


def test_detector_missing(weights_home: WeightsHome, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such weights or folder"):
        load_detector(str(tmp_path / "nothing"))
    with pytest.raises(DataError, match=r"not an object detector \(there is no model\.onnx\)"):
        load_detector(str(tmp_path))
    files = {"model.onnx": tiny_detector(), "labels.txt": b"person\ndog\n"}
    weights = weights_home.describe(files)
    with pytest.raises(DataError, match=r"is not on this machine; lva weights get tiny"):
        load_detector("tiny")
    write_detector(weights_dir(weights), labels="person\ndog\n")
    assert load_detector("tiny").name == "tiny"


def test_detector_extra_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longvideoagent.errors.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"onnxruntime is not installed; pip install 'longvideoagent\[objects\]'"):
        load_detector("anything")


def person(height: float) -> VisibleObject:
    return VisibleObject("person", 0.9, Box(0.1, 0.1, 0.2, 0.1 + height))


def test_objects_counted() -> None:
    dog = VisibleObject("dog", 0.5, Box(0, 0, 0.01, 0.01))
    assert count_objects([person(0.5), dog, person(0.05), dog, person(0.2)]) == {"dog": 2, "person": 2}
    assert count_objects([person(0.05), person(0.04)]) == {"person": 1}
    assert count_objects([]) == {}


def test_object_worded() -> None:
    assert object_text("dog", 1) == "seems to show: dog"
    assert object_text("person", 2) == "seems to show: person (2 at once)"


@pytest.mark.skipif(
    bool(size_problem(find_weights("dfine-nano"))), reason="needs the weights: lva weights get dfine-nano"
)
def test_dfine_nano_opens() -> None:
    assert load_detector("dfine-nano").detect(np.zeros((360, 640, 3), np.uint8)) == []


def test_file_that_is_not_onnx_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """ONNX Runtime would write of another try to stdout, where the answers go."""
    model = tiny_detector()
    for size in range(0, len(model), 97):
        with pytest.raises(DataError):
            load_detector(str(write_detector(tmp_path, model[:size])))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "logits", [np.full((1, 16, 2), "x", object), np.full((1, 16, 2), 1e300)], ids=["texts", "huge"]
)
def test_detector_with_values_of_other_types_refused(tmp_path: Path, logits: NDArray[Any]) -> None:
    from onnx import helper, load_from_string, numpy_helper

    model = load_from_string(tiny_detector())
    model.graph.initializer.append(numpy_helper.from_array(logits, "others"))
    del model.graph.node[-2]
    model.graph.node.append(helper.make_node("Identity", ["others"], ["logits"]))
    model.graph.output[0].type.tensor_type.elem_type = model.graph.initializer[-1].data_type
    with pytest.raises(DataError, match=r"model\.onnx: .*; \w+") as caught:
        load_detector(str(write_detector(tmp_path, model.SerializeToString())))
    assert "\n" not in str(caught.value)
