"""The sound tagger: its files, its form, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.errors import DataError, UsageError
from longvideoagent.models.sound_tagger import SoundTagger, load_tagger, read_labels
from longvideoagent.weights.store import weights_dir
from tests.fakes.tone_tagger import HOP, TONES_HZ, WINDOW, labels_csv, tone_files, tone_model, tones, write_tagger
from tests.plugins.weights import WeightsHome


def tagger_of(folder: Path, **files: bytes) -> SoundTagger:
    """The tagger of tones with these files in place of its own, ``model`` and ``labels``."""
    model, labels = files.get("model", tone_model()), files.get("labels", labels_csv())
    return load_tagger(str(write_tagger(folder, {"model.onnx": model, "labels.csv": labels})))


def test_tagger_scores_frames(tmp_path: Path) -> None:
    tagger = tagger_of(tmp_path)
    assert tagger.labels == tuple(TONES_HZ)
    assert (tagger.hop_s, tagger.window_s) == (HOP / 16_000, WINDOW / 16_000) == (0.48, 0.96)
    scores = tagger.scores(tones(4.8, ("Music", 0, 2.4), ("Explosion", 2.4, 4.8)))
    assert scores.shape == (9, 3)
    assert scores[0] == pytest.approx([0, 0.9, 0], abs=0.01)
    assert scores[4] == pytest.approx([0, 0.45, 0.45], abs=0.01)
    assert scores[-1] == pytest.approx([0, 0, 0.9], abs=0.01)
    assert tagger.cpu_seconds_per_second > 0


def test_tagger_of_weights_and_of_folder(weights_home: WeightsHome, tmp_path: Path) -> None:
    folder = weights_dir(weights_home.describe(tone_files(), name="tones"))
    write_tagger(folder)
    named, given_folder = load_tagger("tones"), tagger_of(tmp_path / "mine")
    assert (named.name, given_folder.name) == ("tones", "mine")
    assert named.identity == given_folder.identity
    assert tagger_of(tmp_path / "other", model=tone_model(gain=1.0)).identity != named.identity
    (folder / "model.onnx").write_bytes(tone_model()[:-1])
    with pytest.raises(DataError, match=r"model\.onnx of tones has .*; lva weights get tones replaces it"):
        load_tagger("tones")


@pytest.mark.parametrize("name", ["labels.csv", "yamnet_class_map.csv", "labels.txt"])
def test_labels_in_each_form(tmp_path: Path, name: str) -> None:
    labels = "Speech\nGunshot, gunfire\r\nDing-dong\n\n".encode("utf-8-sig")
    data = labels if name.endswith(".txt") else labels_csv(["Speech", "Gunshot, gunfire", "Ding-dong"])
    write_tagger(tmp_path, {"model.onnx": tone_model(), name: data})
    assert load_tagger(str(tmp_path)).labels == ("Speech", "Gunshot, gunfire", "Ding-dong")


def test_input_with_axis_for_batch(tmp_path: Path) -> None:
    sound = tones(3, ("Music", 1, 2))
    plain, batched = tagger_of(tmp_path / "a"), tagger_of(tmp_path / "b", model=tone_model(shape=(1, "samples")))
    assert (plain.scores(sound) == batched.scores(sound)).all()


def test_metadata_with_times(tmp_path: Path) -> None:
    tagger = tagger_of(tmp_path, model=tone_model(metadata={"hop_s": "0.480", "window_s": "0.96"}))
    assert (tagger.hop_s, tagger.window_s) == (0.48, 0.96)


def other_outputs(operator: str, values: Sequence[str], inputs: Sequence[str] = ("waveform",)) -> bytes:
    """A network with one output: what an operator makes of these values."""
    from onnx import TensorProto, helper, numpy_helper

    is_sequence = operator == "SequenceConstruct"
    make_output = helper.make_tensor_sequence_value_info if is_sequence else helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node(operator, [*values], ["scores"])],
        "other",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["samples"]) for name in inputs],
        [make_output("scores", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.zeros((20, 3), np.float32), "small")],
    )
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
    )


@pytest.mark.parametrize(
    ("model", "labels", "problem"),
    [
        (tone_model()[:-100], labels_csv(), "model.onnx: "),
        (b"", labels_csv(), "model.onnx: "),
        (tone_model(), labels_csv(["Speech", "Music"]), "one is [frames, 2] for the 2 names of labels.csv"),
        (tone_model(shape=(15_600,)), labels_csv(), "one float32 waveform of any length, [samples] or [1, samples]"),
        (tone_model(shape=(2, "samples")), labels_csv(), "has the input waveform tensor(float) [2, 'samples']; "),
        (tone_model(shape=("a", "b", "c")), labels_csv(), "has the input waveform tensor(float) ['a', 'b', 'c']; "),
        (tone_model(gain=float("nan")), labels_csv(), "gives scores that are not numbers of 0 to 1"),
        (tone_model(element="INT16"), labels_csv(), "has the input waveform tensor(int16) ['samples']; "),
        (tone_model(metadata={"hop_s": "0.01"}), labels_csv(), "gives 19 frames for 10.00 s, and expected are about"),
        (tone_model(metadata={"hop_s": "2"}), labels_csv(), "its metadata has hop_s 2 and window_s 0.96"),
        (tone_model(metadata={"hop_s": "nan"}), labels_csv(), "its metadata has hop_s nan"),
        (tone_model(metadata={"hop_s": "long"}), labels_csv(), "could not convert"),
        (
            other_outputs("SequenceConstruct", ["waveform", "small"]),
            labels_csv(),
            "has the output scores []; one is [frames",
        ),
        (
            other_outputs("Identity", ["small"], inputs=()),
            labels_csv(),
            "has the input nothing; a sound tagger has one",
        ),
        (
            tone_model(),
            labels_csv(["Speech", "a\x1b[31m", "Music"]),
            "label 2 has a control character; write the label",
        ),
        (tone_model(), labels_csv([str(n) for n in range(10_001)]), "has 10001 labels; give 1 to 10,000"),
        (tone_model(), b"", "lacks the columns index and display_name"),
        (tone_model(), b"label,name\n0,Speech\n", "lacks the columns index and display_name"),
        (tone_model(), b"index,mid,display_name\n1,/m/0,Speech\n", "its column index does not count from 0"),
        (
            tone_model(),
            labels_csv(["Speech", "", "Music"]),
            "labels.csv: label 2 has 0 characters; write the label of that class",
        ),
        (tone_model(), labels_csv(["Speech", "Music", "Music"]), "has the label 'Music' more than once"),
        (tone_model(), b"\xff\xfe\x00", "labels.csv: "),
    ],
)
def test_tagger_wrong_files_refused(tmp_path: Path, model: bytes, labels: bytes, problem: str) -> None:
    with pytest.raises(DataError, match=re.escape(problem)) as caught:
        tagger_of(tmp_path, model=model, labels=labels)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_scores_that_become_wrong_refused(tmp_path: Path) -> None:
    """Those of silence are right."""
    tagger = tagger_of(tmp_path, model=tone_model(gain=-1.0))
    with pytest.raises(DataError, match=r"model\.onnx: gives scores that are not numbers of 0 to 1; "):
        tagger.scores(tones(2, ("Music", 0, 2)))


@pytest.mark.parametrize("missing", ["model.onnx", "labels.csv"])
def test_tagger_file_missing(tmp_path: Path, missing: str) -> None:
    (write_tagger(tmp_path / "mine") / missing).unlink()
    has = ({"model.onnx", "labels.csv"} - {missing}).pop()
    with pytest.raises(DataError, match=rf"mine: not a sound tagger \(it has {has}\); one has model.onnx and labels"):
        load_tagger(str(tmp_path / "mine"))


@pytest.mark.usefixtures("weights_home")
def test_tagger_unknown(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing: no such weights or folder; give a folder; docs/sound"):
        load_tagger(str(tmp_path / "nothing"))


def test_tagger_extra_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("longvideoagent.errors.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"onnxruntime is not installed; pip install 'longvideoagent\[sound\]'"):
        load_tagger(str(tmp_path))


@given(data=st.binary(max_size=80) | st.text(max_size=80).map(lambda text: b"index,mid,display_name\n" + text.encode()))
def test_labels_of_any_bytes(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in ("labels.csv", "labels.txt"):
        path = tmp_path_factory.mktemp("labels") / name
        path.write_bytes(data)
        try:
            labels = read_labels(path)
        except DataError:
            continue
        assert labels
        assert all(label == " ".join(label.split()) != "" for label in labels)
