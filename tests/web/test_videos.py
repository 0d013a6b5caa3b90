"""The library over HTTP: listed, confined to its folder, uploaded to."""

from __future__ import annotations

import os
import string
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from longvideoagent.errors import UsageError
from longvideoagent.server import video_cache
from longvideoagent.server.uploads import clean_name
from tests.plugins.media import write_video
from tests.plugins.web_server import RunningServer, serving

SRT = "1\n00:00:01,000 --> 00:00:03,000\nMira: The kettle is on the roof.\n\n"


def list_names(server: RunningServer) -> list[str]:
    return [each["name"] for each in server.get("/api/videos")["videos"]]


def test_library_links_outside(tmp_path: Path, short_video: Path) -> None:
    outside, library = tmp_path / "outside", tmp_path / "library"
    (library / "season 1").mkdir(parents=True)
    (library / ".hidden").mkdir()
    outside.mkdir()
    for path in (outside / "secret.mp4", library / "season 1" / "a.mp4", library / ".hidden" / "b.mp4"):
        path.write_bytes(short_video.read_bytes())
    (library / "link.mp4").symlink_to(outside / "secret.mp4")
    (library / "linked").symlink_to(outside)
    (library / "inner.mp4").symlink_to(library / "season 1" / "a.mp4")
    (library / "notes.txt").write_text("no video")
    (outside / "secret.srt").write_text(SRT)
    (library / "season 1" / "a.srt").symlink_to(outside / "secret.srt")
    with serving(library) as server:
        assert list_names(server) == ["inner.mp4", "season 1/a.mp4"]
        inside = server.video("season 1/a.mp4")
        response = server.client.get(f"/api/videos/{inside}/timeline")
        assert (response.status_code, "a.srt next to it is a link out of the library" in response.text) == (422, True)
        for path_id in (
            "../outside/secret.mp4",
            "..%2Foutside%2Fsecret.mp4",
            "/etc/passwd",
            "season 1/a.mp4",
            "0" * 16,
        ):
            for suffix in ("", "/file", "/timeline", "/frame?time_s=0", "/stream"):
                assert server.client.get(f"/api/videos/{path_id}{suffix}").status_code == 404, (path_id, suffix)
        (library / "season 1" / "a.mp4").unlink()
        (library / "season 1" / "a.mp4").symlink_to(outside / "secret.mp4")  # the id was valid before
        assert server.client.get(f"/api/videos/{inside}/file").status_code == 404


def test_file_range_of_huge_file(tmp_path: Path) -> None:
    path = tmp_path / "huge.mp4"
    with path.open("wb") as file:
        file.truncate(30_000_000_000)
        file.seek(20_000_000_000)
        file.write(b"in the middle")
    with serving(tmp_path) as server:
        url = f"/api/videos/{server.video('huge.mp4')}/file"
        response = server.client.get(url, headers={"Range": "bytes=20000000000-20000000012"})
        assert (response.status_code, response.content) == (206, b"in the middle")
        assert response.headers["content-range"] == "bytes 20000000000-20000000012/30000000000"
        beyond = server.client.get(url, headers={"Range": "bytes=30000000000-"})
        assert beyond.status_code == 416
        assert server.get("/api/videos")["videos"][0]["size_bytes"] == 30_000_000_000


def make_non_videos() -> dict[str, bytes]:
    """Files that FFmpeg reads but that are not videos."""
    files = {}
    for kind, size in (("PNG", (14_000, 14_000)), ("GIF", (64, 48)), ("JPEG", (64, 48))):
        image = BytesIO()
        Image.new("L", size).save(image, kind)
        files[f"{kind}.mp4"] = image.getvalue()
    files["list.mp4"] = b"ffconcat version 1.0\nfile 'link.mp4'\n"
    files["lines.mp4"] = b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nlink.mp4\n#EXT-X-ENDLIST\n"
    files["session.mp4"] = b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 33\n"
    return files


def test_video_is_image_or_playlist(tmp_path: Path, short_video: Path) -> None:
    library, outside = tmp_path / "library", tmp_path / "outside.mp4"
    library.mkdir()
    outside.write_bytes(short_video.read_bytes())
    (library / "link.mp4").symlink_to(outside)
    for name, content in make_non_videos().items():
        (library / name).write_bytes(content)
    with serving(library) as server:
        for name, content in make_non_videos().items():
            for suffix in ("", "/frame?time_s=1", "/stream", "/stream/start?time_s=1"):
                response = server.client.get(f"/api/videos/{server.video(name)}{suffix}")
                assert response.status_code == 422, (name, suffix)
                assert "video" in response.json()["detail"]
            response = server.client.post("/api/videos", params={"name": name}, content=content)
            assert response.status_code == 422, name
            assert str(tmp_path) not in response.json()["detail"]


def test_upload_survives_restart(tmp_path: Path, short_video: Path) -> None:
    data = short_video.read_bytes()
    for _ in range(2):
        with serving(tmp_path) as server:
            if not list_names(server):
                response = server.client.post("/api/videos", params={"name": "C:\\films\\../a b.mp4"}, content=data)
                assert response.status_code == 201
                assert (response.json()["name"], response.json()["is_upload"]) == ("a b.mp4", True)
            (video,) = server.get("/api/videos")["videos"]
            assert server.client.get(f"/api/videos/{video['id']}/file").content == data


@pytest.mark.parametrize(
    ("name", "content", "status", "detail"),
    [
        ("a.mp4", b"no video at all", 422, "not a readable video"),
        ("a.mp4", b"", 422, "empty"),
        ("a.exe", b"MZ", 422, "not the name of a video"),
        ("..", b"x", 422, "no usable file name"),
        ("a.mp4", b"x" * 2_000_001, 413, "larger than"),
    ],
)
def test_upload_refused(name: str, content: bytes, status: int, detail: str, tmp_path: Path) -> None:
    with serving(tmp_path, max_upload_bytes=2_000_000) as server:
        response = server.client.post("/api/videos", params={"name": name}, content=content)
        assert response.status_code == status
        assert detail in response.json()["detail"]
        assert str(tmp_path) not in response.json()["detail"]
        assert list_names(server) == []
    assert not list((tmp_path / ".longvideoagent" / "uploads").rglob("*"))


def test_upload_interrupted(tmp_path: Path, short_video: Path) -> None:
    uploads = tmp_path / ".longvideoagent" / "uploads"

    def halves() -> Any:
        yield short_video.read_bytes()[:1000]
        raise ConnectionError("connection lost")

    with serving(tmp_path) as server:
        with pytest.raises(ConnectionError):
            server.client.post("/api/videos", params={"name": "a.mp4"}, content=halves())
        server.until(lambda: list(uploads.iterdir()), lambda left: not left)


def test_upload_subtitles(tmp_path: Path, short_video: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(short_video.read_bytes())
    with serving(tmp_path) as server:
        video = server.video("a.mp4")
        assert server.timeline(video)["subtitles"] == []
        for name, text in (
            ("mine.srt", SRT),
            ("later.vtt", "WEBVTT\n\n" + SRT.replace(",", ".").replace("roof", "moon")),
        ):
            response = server.client.post(
                f"/api/videos/{video}/subtitles", params={"name": name}, content=text.encode()
            )
            assert response.json()["has_uploaded_subtitles"] is True
            (line,) = server.timeline(video)["subtitles"]
            assert line["start_s"] == 1.0
            assert line["text"] in text
        assert "moon" in server.client.get(f"/api/videos/{video}/subtitles.vtt").text
        for name, content in (("a.srt", b"\x00\x01\x02" * 99), ("a.srt", b"nothing"), ("a.exe", SRT.encode())):
            response = server.client.post(f"/api/videos/{video}/subtitles", params={"name": name}, content=content)
            assert response.status_code == 422, content
        assert "moon" in server.timeline(video)["subtitles"][0]["text"]


def test_encoding_of_subtitle_files(tmp_path: Path, short_video: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(short_video.read_bytes())
    content = SRT.replace("kettle", "ќџ").encode("cp1251")
    (tmp_path / "a.srt").write_bytes(content)
    for encoding, word in (("cp1251", "ќџ"), ("cp1250", "ťź")):
        with serving(tmp_path, encoding=encoding) as server:
            video = server.video("a.mp4")
            assert word in server.timeline(video)["subtitles"][0]["text"]
            server.client.post(f"/api/videos/{video}/subtitles", params={"name": "b.srt"}, content=content)
            assert word in server.timeline(video)["subtitles"][0]["text"]
    with pytest.raises(UsageError, match="encoding 'cp12'"), serving(tmp_path, encoding="cp12"):
        pass


def test_subtitles_vtt_is_escaped(tmp_path: Path, short_video: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(short_video.read_bytes())
    text = "File --&gt; Open {now} if a &lt; b &amp;amp; c"
    (tmp_path / "a.srt").write_text(f"1\n00:00:01,000 --> 00:00:02,000\n{text}\n")
    with serving(tmp_path) as server:
        vtt = server.client.get(f"/api/videos/{server.video('a.mp4')}/subtitles.vtt").text
    assert vtt == f"WEBVTT\n\n1\n00:00:01.000 --> 00:00:02.000\n{text}\n"


def test_timeline_fields(tmp_path: Path, short_video: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(short_video.read_bytes())
    (tmp_path / "a.srt").write_text(SRT + SRT.replace("1\n", "2\n", 1).replace(":01,", ":05,").replace(":03,", ":07,"))
    with serving(tmp_path) as server:
        timeline = server.timeline(server.video("a.mp4"))
        assert timeline["text_source"] == "a.srt"
        assert [set(clip) for clip in timeline["clips"]] == [{"label", "start_s", "end_s", "density"}] * len(
            timeline["clips"]
        )
        assert timeline["clips"][-1]["end_s"] == timeline["duration_s"] == pytest.approx(10.0, abs=0.1)
        assert all(0 <= clip["density"] <= 1 for clip in timeline["clips"])
        assert all(each["question"] and isinstance(each["options"], list) for each in timeline["suggestions"])


def test_video_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"not a video")
    with serving(tmp_path) as server:
        video = server.video("a.mp4")
        for suffix in ("", "/timeline", "/frame?time_s=1", "/stream"):
            response = server.client.get(f"/api/videos/{video}{suffix}")
            assert response.status_code == 422, suffix
            assert "not a readable video" in response.json()["detail"]


@given(st.text(max_size=300))
def test_clean_name_any_text(name: str) -> None:
    try:
        clean = clean_name(name)
    except UsageError:
        return
    assert clean == Path(clean).name
    assert clean not in (".", "..")
    assert not set(clean) & set('/\\:\x00\n"<>|')
    assert len(clean.encode()) <= 200
    assert clean[0] not in " ."


@given(st.text(string.ascii_letters + string.digits + " -_", min_size=1, max_size=80).map(str.strip).filter(bool))
def test_clean_name_unchanged(stem: str) -> None:
    assert clean_name(f"{stem}.mp4") == f"{stem}.mp4"


def test_library_odd_names_and_links(tmp_path: Path, short_video: Path) -> None:
    good = short_video.read_bytes()
    (tmp_path / "good.mp4").write_bytes(good)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff.mp4")).write_bytes(good)
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    (tmp_path / "self.mp4").symlink_to(tmp_path / "self.mp4")
    (tmp_path / "pipe.mp4").mkdir()
    with serving(tmp_path) as server:
        assert list_names(server) == ["b\N{REPLACEMENT CHARACTER}.mp4", "good.mp4"]
        for name in list_names(server):
            assert server.client.get(f"/api/videos/{server.video(name)}/file").content == good
            assert server.ended(server.ask(server.video(name), "What?"))["video_name"] == name
    with serving(tmp_path) as server:
        assert len(server.get("/api/jobs")["jobs"]) == 2


def test_frame_folder_links_outside(tmp_path: Path) -> None:
    (tmp_path / "library" / "scene").mkdir(parents=True)
    Image.new("RGB", (60, 40)).save(tmp_path / "secret.jpg")
    Image.new("RGB", (60, 40)).save(tmp_path / "library" / "scene" / "00001.jpg")
    (tmp_path / "library" / "scene" / "00002.jpg").symlink_to(tmp_path / "secret.jpg")
    with serving(tmp_path / "library") as server:
        response = server.client.get(f"/api/videos/{server.video('scene')}/frame?time_s=0.4")
        assert (response.status_code, "links out of the library" in response.text) == (404, True)


@pytest.mark.parametrize("name", ["my.partial.mp4", "\N{CJK UNIFIED IDEOGRAPH-7530}" * 115 + ".mp4", "a\u202egpm.mp4"])
def test_upload_odd_names(name: str, tmp_path: Path, short_video: Path) -> None:
    with serving(tmp_path) as server:
        response = server.client.post("/api/videos", params={"name": name}, content=short_video.read_bytes())
        assert response.status_code == 201, response.text
        assert list_names(server) == [response.json()["name"]]
        assert "\u202e" not in response.json()["name"]


def test_upload_subtitles_concurrently(tmp_path: Path, short_video: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(short_video.read_bytes())
    with serving(tmp_path) as server, ThreadPoolExecutor(4) as pool:
        path = f"/api/videos/{server.video('a.mp4')}/subtitles"
        texts = [SRT.replace("roof", f"roof {number}") for number in range(4)]
        responses = list(pool.map(lambda text: server.client.post(path, params={"name": "a.srt"}, content=text), texts))
        assert [each.status_code for each in responses] == [200] * 4
        assert server.timeline(server.video("a.mp4"))["text_source"] == "a.srt"


def test_video_load_abandoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "a.mp4", range(0, 60_000, 200), size=(320, 240))
    with serving(tmp_path) as server:
        path = f"/api/videos/{server.video('a.mp4')}/timeline"
        monkeypatch.setattr(video_cache, "ABANDONED_S", 0.0)
        abandoned = server.until(lambda: server.client.get(path), lambda response: response.status_code != 202)
        assert "nobody waits for this video any more" in abandoned.json()["detail"]
        monkeypatch.setattr(video_cache, "ABANDONED_S", 1000.0)
        assert server.timeline(server.video("a.mp4"))["clips"]  # a new request starts it again


def test_warnings_without_paths(tmp_path: Path, short_video: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(short_video.read_bytes())
    (tmp_path / "a.srt").write_bytes(b"\x00\x01\x02" * 99)
    with serving(tmp_path) as server:
        (warning,) = [each for each in server.timeline(server.video("a.mp4"))["warnings"] if "a.srt" in each]
        assert str(tmp_path) not in warning


def test_upload_renamed_and_deleted(tmp_path: Path, short_video: Path) -> None:
    (tmp_path / "own.mp4").write_bytes(short_video.read_bytes() + b"\0" * 9)
    with serving(tmp_path) as server:
        content = short_video.read_bytes()
        video = server.client.post("/api/videos", params={"name": "a.mp4"}, content=content).json()
        path = f"/api/videos/{video['id']}"
        server.client.post(f"{path}/subtitles", params={"name": "a.srt"}, content=SRT)
        renamed = server.client.patch(path, json={"name": "../My talk"}).json()
        assert (renamed["id"], renamed["name"]) == (video["id"], "My talk.mp4")
        assert list_names(server) == ["own.mp4", "My talk.mp4"]
        assert server.client.get(f"{path}/file").content == content
        subtitles = server.client.patch(f"{path}/subtitles", json={"name": "second.srt"}).json()
        assert subtitles["uploaded_subtitles"] == "second.srt"
        assert server.timeline(video["id"])["text_source"] == "second.srt"
        assert server.client.delete(f"{path}/subtitles").json()["uploaded_subtitles"] is None
        assert server.client.delete(f"{path}/subtitles").status_code == 404
        job = server.ask(video["id"], "Where is the kettle?")
        server.ended(job)
        assert server.client.delete(path).status_code == 204
        assert list_names(server) == ["own.mp4"]
        assert server.client.get(path).status_code == 404
        assert server.get(f"/api/jobs/{job}")["is_playable"] is False
        own = f"/api/videos/{server.video('own.mp4')}"
        for response in (server.client.delete(own), server.client.patch(own, json={"name": "b.mp4"})):
            assert (response.status_code, "not an upload" in response.text) == (422, True)
        assert (tmp_path / "own.mp4").exists()
    with serving(tmp_path) as server:
        assert list_names(server) == ["own.mp4"]


def test_upload_same_content(tmp_path: Path, short_video: Path) -> None:
    (tmp_path / "own.mp4").write_bytes(short_video.read_bytes())
    other = short_video.read_bytes() + b"\0" * 9
    with serving(tmp_path) as server:
        first = server.client.post("/api/videos", params={"name": "a.mp4"}, content=other)
        assert (first.status_code, first.json()["is_new"]) == (201, True)
        second = server.client.post("/api/videos", params={"name": "b.mp4"}, content=other)
        assert (second.status_code, second.json()["id"]) == (200, first.json()["id"])
        assert list_names(server) == ["own.mp4", "a.mp4"]
        assert len(list((tmp_path / ".longvideoagent" / "uploads").iterdir())) == 1


def test_thumbnail(tmp_path: Path, short_video: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(short_video.read_bytes())
    with serving(tmp_path) as server:
        response = server.client.get(f"/api/videos/{server.video('a.mp4')}/thumbnail")
        assert response.headers["content-type"] == "image/jpeg"
        assert max(Image.open(BytesIO(response.content)).size) <= 128


@pytest.mark.parametrize(
    ("lines", "questions"),
    [
        (("Mira: Otto, the kettle is on the roof.", "Otto: Ask Lena, she knows."), ["Mira say", "Otto say", "Lena?"]),
        (("so we turn to Fourier now", "as Fourier showed"), ["What is said about Fourier?"]),
        (("so we turn left now",), []),
    ],
)
def test_suggestions_of_lines(lines: tuple[str, ...], questions: list[str], tmp_path: Path, short_video: Path) -> None:
    """Only what the lines answer is suggested."""
    (tmp_path / "a.mp4").write_bytes(short_video.read_bytes())
    cues = [f"{i + 1}\n00:00:0{3 * i},000 --> 00:00:0{3 * i + 2},000\n{line}\n" for i, line in enumerate(lines)]
    (tmp_path / "a.srt").write_text("\n".join(cues))
    with serving(tmp_path) as server:
        video = server.video("a.mp4")
        suggested = [each["question"] for each in server.timeline(video)["suggestions"]]
        assert all(part in " ".join(suggested) for part in questions)
        assert len(suggested) <= len(questions) + 1
        for question in suggested:
            job = server.ended(server.ask(video, question))
            assert (job["outcome"], job["trace"]["confidence"] > 0.3) == ("answered", True), job["trace"]["answer"]
