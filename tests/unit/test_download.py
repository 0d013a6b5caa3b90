"""Published data sets, downloaded from a server that implements the hub's protocol."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from longvideoagent.datasets.frame_archives import UnpackLimits, unpack_frames
from longvideoagent.datasets.longtvqa.read import read_longtvqa
from longvideoagent.errors import DataError
from tests.fakes.hub_server import Hub, serve
from tests.fakes.release import CLIPS, DURATIONS, TEXTS, question, write_release
from tests.plugins.cli import Completed, lva, lva_process

FILES = {
    "LongTVQA_plus_val.json": json.dumps([question(n, q=f"Who ? {'x' * 2000}") for n in range(400)]).encode(),
    "LongTVQA_plus_subtitle_clip_level.json": json.dumps(TEXTS).encode(),
    "clip_durations.json": json.dumps(DURATIONS).encode(),
}

REPOSITORY = "longvideoagent/LongTVQA_plus"
TIMEOUT_S = 5


def download(url: str, out: Path, *arguments: str) -> Completed:
    """The command in this process. The hub's client reads its environment when it is imported, so the constants that it
    keeps are set instead."""
    from huggingface_hub import constants

    client_constants = {
        "ENDPOINT": url,
        "HUGGINGFACE_CO_URL_TEMPLATE": f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": True,
        "HF_HUB_DOWNLOAD_TIMEOUT": TIMEOUT_S,
        "HF_HUB_ETAG_TIMEOUT": TIMEOUT_S,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in client_constants.items():
            patch.setattr(constants, name, value)
        return lva("data", "download", *arguments, "--out", out)


def test_download(tmp_path: Path) -> None:
    """In a process of its own, where the client reads its environment."""
    with serve(Hub(REPOSITORY, FILES)) as url:
        hub_env = {
            "HF_ENDPOINT": url,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "",
        }
        result = lva_process("data", "download", "longtvqa-plus", "--out", tmp_path / "out", env=hub_env)
    assert result.returncode == 0, result.stderr
    assert len(read_longtvqa(tmp_path / "out").samples) == 400


def test_download_resumes(tmp_path: Path) -> None:
    hub = Hub(REPOSITORY, FILES, interrupts="LongTVQA_plus_val.json")
    with serve(hub) as url:
        for _ in range(2):
            result = download(url, tmp_path / "out", "longtvqa-plus")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out" / "LongTVQA_plus_val.json").read_bytes() == FILES["LongTVQA_plus_val.json"]
    assert sum(name == "clip_durations.json" for name, _ in hub.requests) == 1


@pytest.mark.parametrize("name", ["clip_durations.json", "large.bin"])
def test_download_wrong_bytes(name: str, tmp_path: Path) -> None:
    hub = Hub(REPOSITORY, {**FILES, "large.bin": b"0123456789" * 1000})
    hub.corrupt_name, hub.corrupt_data = name, hub.files[name][:-1] + b"?"
    with serve(hub) as url:
        result = download(url, tmp_path / "out", "longtvqa-plus")
        assert result.returncode == 2
        assert f"{name}: other bytes than the hub holds" in result.stderr
        hub.corrupt_name = ""
        result = download(url, tmp_path / "out", "longtvqa-plus")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out" / name).read_bytes() == hub.files[name]


def test_download_other_repository(tmp_path: Path) -> None:
    with serve(Hub("somebody/frames", {"s01e01/00001.jpg": b"jpeg"})) as url:
        result = download(url, tmp_path / "out", "frames", "--repository", "somebody/frames")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out" / "s01e01" / "00001.jpg").read_bytes() == b"jpeg"


def test_download_tvqa_long_without_videos(tmp_path: Path) -> None:
    names = [f"tvqa-long-annotations/tvqa_{name}.json" for name in ("val_edited", "preprocessed_subtitles")]
    hub = Hub("Vision-CAIR/TVQA-Long", {**dict.fromkeys(names, b"{}"), "videos.bin": b"x"})
    with serve(hub) as url:
        result = download(url, tmp_path / "out", "tvqa-long")
    assert result.returncode == 0, result.stderr
    assert {name for name, _ in hub.requests} == set(names)


def make_archive(members: Sequence[tuple[str | tarfile.TarInfo, bytes]], *, is_gz: bool = False) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz" if is_gz else "w") as archive:
        for member, data in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def some_frames(folder: str, count: int = 4) -> list[tuple[str | tarfile.TarInfo, bytes]]:
    return [(f"{folder}{clip}/{number:05}.jpg", b"jpeg %d" % number) for clip in CLIPS for number in range(1, count)]


def test_download_frames_of_shows(tmp_path: Path) -> None:
    extra: list[tuple[str | tarfile.TarInfo, bytes]] = [("bbt_frames/._00001.jpg", b"x"), ("README", b"x")]
    files = {
        "bbt_frames.tar.gz": make_archive([*some_frames("frames_hq/bbt_frames/"), *extra], is_gz=True),
        "castle_frames.tar": make_archive([("./castle_s01e01_seg02_clip_00/00001.jpg", b"jpeg")]),
        "met_frames.tar.gz": b"not asked for",
    }
    hub = Hub("Yuxuan0701/tvqa-frames", files, interrupts="bbt_frames.tar.gz")
    out = write_release(tmp_path / "out")
    with serve(hub) as url:
        first, result = [download(url, out, "frames", "--show", "bbt", "--show", "castle") for _ in range(2)]
        assert result.returncode == 0, result.stderr
        counts = f"bbt_frames: {3 * len(CLIPS)} frames of {len(CLIPS)} clips"
        assert f"{counts}; 2 other files of its archive are left out\n" in first.stderr + result.stderr
        assert f"{counts}\n" in result.stderr
        assert "whether you may use them is for you to settle" in result.stderr
        num_requests = len(hub.requests)
        assert download(url, out, "frames", "--show", "bbt").returncode == 0  # everything is there
        assert len(hub.requests) == num_requests
    assert {name for name, _ in hub.requests} == {"bbt_frames.tar.gz", "castle_frames.tar"}
    assert (out / "bbt_frames" / CLIPS[0] / "00002.jpg").read_bytes() == b"jpeg 2"
    assert (out / "castle_frames" / "castle_s01e01_seg02_clip_00" / "00001.jpg").read_bytes() == b"jpeg"
    assert sorted(path.name for path in (out / "bbt_frames").iterdir()) == sorted(CLIPS)
    assert read_longtvqa(out).count_clips(["s01e01"]).without_frames == 0
    assert not list(out.glob(".unpacking*"))


def test_download_frames_invalid(tmp_path: Path) -> None:
    with serve(Hub("Yuxuan0701/tvqa-frames", {"castle_frames.tar": b"x" * 2000})) as url:
        for arguments, message in (
            ((), "frames: no show is named; give --show bbt, castle"),
            (("--show", "news"), "--show news: not one of TVQA's shows"),
            (("--show", "bbt"), "Yuxuan0701/tvqa-frames: has no bbt_frames.tar.gz"),
            (("--show", "castle"), "castle_frames.tar: damaged or cut short"),
        ):
            result = download(url, tmp_path / "out", "frames", *arguments)
            assert (result.returncode, message in result.stderr) == (2, True), result.stderr
            assert "Traceback" not in result.stderr
    assert not (tmp_path / "out" / "castle_frames").exists()


def link(kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(f"{CLIPS[0]}/00002.jpg")
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (f"../{CLIPS[0]}/00002.jpg", "leads out"),
        (f"a/../../{CLIPS[0]}/00002.jpg", "leads out"),
        (f"/tmp/{CLIPS[0]}/00002.jpg", "leads out"),
        (f"C:\\{CLIPS[0]}\\00002.jpg", "leads out"),
        (link(tarfile.SYMTYPE), "is a link or a device"),
        (link(tarfile.LNKTYPE), "is a link or a device"),
        (link(tarfile.CHRTYPE), "is a link or a device"),
        (link(tarfile.FIFOTYPE), "is a link or a device"),
    ],
)
def test_unpack_unsafe_member(member: str | tarfile.TarInfo, message: str, tmp_path: Path) -> None:
    archive = tmp_path / "bbt_frames.tar"
    archive.write_bytes(make_archive([*some_frames(""), (member, b"")]))
    with pytest.raises(DataError, match=message) as caught:
        unpack_frames(archive, tmp_path / "bbt_frames", tmp_path / "partial")
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bbt_frames.tar"]


@pytest.mark.parametrize(
    "limits",
    [UnpackLimits(max_members=5), UnpackLimits(max_frame_bytes=5), UnpackLimits(min_total_bytes=9, max_ratio=0.001)],
)
def test_unpack_too_large(limits: UnpackLimits, tmp_path: Path) -> None:
    archive = tmp_path / "bbt_frames.tar"
    archive.write_bytes(make_archive(some_frames("")))
    with pytest.raises(DataError, match="beyond the size"):
        unpack_frames(archive, tmp_path / "bbt_frames", tmp_path / "partial", limits)
    assert not (tmp_path / "partial").exists()


@pytest.mark.parametrize("is_gz", [False, True])
def test_unpack_cut_short(is_gz: bool, tmp_path: Path) -> None:
    archive = tmp_path / "bbt_frames.tar"
    whole = make_archive(some_frames(""), is_gz=is_gz)
    for data in (whole[: len(whole) // 3], b"", b"x" * 600, make_archive([("README", b"x")])):
        archive.write_bytes(data)
        with pytest.raises(DataError, match=r"bbt_frames\.tar: (damaged or cut short|has no frames of clips)"):
            unpack_frames(archive, tmp_path / "bbt_frames", tmp_path / "partial")
        assert not (tmp_path / "partial").exists()


def test_unpack_damaged_header(tmp_path: Path) -> None:
    archive = tmp_path / "bbt_frames.tar"
    whole = make_archive(some_frames(""))
    second = whole.index(b"ustar", 512) - 257
    flipped = whole[:second] + bytes([whole[second] ^ 1]) + whole[second + 1 :]
    long_name = tarfile.TarInfo("@LongLink")
    long_name.type = tarfile.GNUTYPE_LONGNAME
    for data, cause in (
        (flipped, "bad checksum"),
        (whole[:second], "empty header"),
        (whole[: second + 100], "truncated header"),
        (make_archive([*some_frames(""), (long_name, b"x" * 100_000)]), "a name of 100,000 bytes"),
    ):
        archive.write_bytes(data)
        with pytest.raises(DataError, match=rf"bbt_frames\.tar: damaged or cut short \({cause}\)"):
            unpack_frames(archive, tmp_path / "bbt_frames", tmp_path / "partial")
        assert not (tmp_path / "partial").exists()


def test_unpack_damaged_gzip_checksum(tmp_path: Path) -> None:
    archive = tmp_path / "bbt_frames.tar.gz"
    whole = make_archive(some_frames("bbt_frames/"), is_gz=True)
    for data, cause in (
        (whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:], "CRC check failed"),
        (whole[:-3], "Compressed file ended"),
        (whole + make_archive(some_frames("more/"), is_gz=True), "data after its end"),
    ):
        archive.write_bytes(data)
        with pytest.raises(DataError, match=rf"bbt_frames\.tar\.gz: damaged or cut short \({cause}"):
            unpack_frames(archive, tmp_path / "bbt_frames", tmp_path / "partial")
        assert not (tmp_path / "partial").exists()


@pytest.mark.parametrize("name", [f"{CLIPS[0]}/00001.jpg", f"other/{CLIPS[0]}/1.JPEG"])
def test_unpack_frame_twice(name: str, tmp_path: Path) -> None:
    archive = tmp_path / "bbt_frames.tar"
    archive.write_bytes(make_archive([*some_frames("bbt_frames/"), (name, b"other")]))
    with pytest.raises(DataError, match=rf"bbt_frames\.tar: has frame 1 of {CLIPS[0]} twice"):
        unpack_frames(archive, tmp_path / "bbt_frames", tmp_path / "partial")
    assert not (tmp_path / "partial").exists()


def test_unpack_names_in_other_digits(tmp_path: Path) -> None:
    archive = tmp_path / "bbt_frames.tar"
    other = "\N{ARABIC-INDIC DIGIT ONE}"
    extra = [(f"{CLIPS[0]}/0000{other}.jpg", b"x"), (f"s01e0{other}_seg01_clip_00/00001.jpg", b"x")]
    archive.write_bytes(make_archive([*some_frames(""), *extra]))
    assert unpack_frames(archive, tmp_path / "bbt_frames", tmp_path / "partial") == len(extra)
    assert sum(1 for _ in (tmp_path / "bbt_frames").rglob("*.jpg")) == 3 * len(CLIPS)


def test_download_frames_folder_exists(tmp_path: Path) -> None:
    folder = tmp_path / "bbt_frames"
    with serve(Hub("Yuxuan0701/tvqa-frames", {"bbt_frames.tar.gz": make_archive(some_frames(""), is_gz=True)})) as url:
        folder.write_text("a file")
        line = download(url, tmp_path, "frames", "--show", "bbt").stderr
        assert f"{folder}: is not a folder; move it away" in line
        folder.unlink()
        (folder / CLIPS[0]).mkdir(parents=True)
        line = download(url, tmp_path, "frames", "--show", "bbt").stderr
        assert f"{folder}: exists but has no frames of clips; move it away" in line
        (folder / CLIPS[0]).rmdir()
        result = download(url, tmp_path, "frames", "--show", "bbt")
    assert (result.returncode, (folder / CLIPS[0] / "00002.jpg").read_bytes()) == (0, b"jpeg 2"), result.stderr


def test_unpack_resumes(tmp_path: Path) -> None:
    archive, folder, partial = tmp_path / "bbt_frames.tar", tmp_path / "bbt_frames", tmp_path / "partial"
    archive.write_bytes(make_archive(some_frames("bbt_frames/", 60)))

    def interrupt(_stage: str, fraction: float) -> None:
        assert 0 < fraction <= 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack_frames(archive, folder, partial, progress=interrupt)
    assert not folder.exists()
    written = partial / CLIPS[0] / "00001.jpg"
    os.utime(written, (1, 1))
    (partial / CLIPS[1] / "00001.jpg").write_bytes(b"cut")
    unpack_frames(archive, folder, partial)
    assert (folder / CLIPS[0] / "00001.jpg").stat().st_mtime == 1  # not written again
    assert (folder / CLIPS[1] / "00001.jpg").read_bytes() == b"jpeg 1"
    assert sum(1 for _ in folder.rglob("*.jpg")) == 59 * len(CLIPS)


@pytest.mark.parametrize(
    ("tree", "message"), [("[]", "has no bbt_frames"), ("null", "a reply that is not"), ("[{}]", "a reply that is not")]
)
def test_download_reply_of_another_server(tree: str, message: str, tmp_path: Path) -> None:
    with serve(Hub("Yuxuan0701/tvqa-frames", {}, tree=tree)) as url:
        result = download(url, tmp_path / "out", "frames", "--show", "bbt")
    assert result.returncode == 2
    assert f"lva: error: Yuxuan0701/tvqa-frames: {message}" in result.stderr


def test_download_into_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "bbt_frames.tar.gz").mkdir()
    with serve(Hub("Yuxuan0701/tvqa-frames", {"bbt_frames.tar.gz": b"x"})) as url:
        result = download(url, tmp_path, "frames", "--show", "bbt")
    assert result.returncode == 2
    assert f"lva: error: {tmp_path / 'bbt_frames.tar.gz'}: Is a directory; check the path" in result.stderr


@pytest.mark.parametrize(("url", "message"), [(None, "not on the hub"), ("http://127.0.0.1:9", "cannot be downloaded")])
def test_download_failure_one_line(url: str | None, message: str, tmp_path: Path) -> None:
    with serve(Hub("somebody/else", {})) as other:
        result = download(url or other, tmp_path / "out", "longtvqa")
    assert result.returncode == 2
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("lva: ")]
    assert f"longvideoagent/LongTVQA: {message}" in line
    assert "Traceback" not in result.stderr
