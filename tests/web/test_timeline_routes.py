"""What is known about a video over HTTP: its lines, a search over them, its chapters."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from longvideoagent.index.open import index_screen_text
from longvideoagent.media.readers.base import open_reader
from longvideoagent.media.video_writer import encode_frames
from tests.plugins.media import write_screens
from tests.plugins.web_jobs import LINES, TOPICS
from tests.plugins.web_server import serving


def test_search_lines(library: Path) -> None:
    with serving(library) as server:
        path = f"/api/videos/{server.video('a.mp4')}/search"
        found = server.get(path, params={"words": "lamps torn"})
        (line,) = found["lines"]
        assert (found["num_lines"], found["num_occurrences"]) == (1, 1)
        assert (line["text"], line["start_s"], line["source"]) == (LINES[1], 3.0, "subtitle")
        assert server.get(path, params={"words": "by Mira"})["num_lines"] == 2
        assert server.get(path, params={"words": "by Mira", "start_s": 5})["num_lines"] == 1
        assert server.get(path, params={"words": "zebra"}) == {"num_lines": 0, "num_occurrences": 0, "lines": []}


def test_screen_texts_of_a_video_with_subtitles(tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    frames = write_screens(tmp_path / "frames", ["", "BAKERY"], seconds=8)
    encode_frames(open_reader(frames, 1), library / "talk.mp4")
    (library / "talk.srt").write_text("1\n00:00:01,000 --> 00:00:12,000\nMira: Bread at last\n")
    index_screen_text(open_reader(library / "talk.mp4"), 16.0)
    with serving(library) as server:
        path = f"/api/videos/{server.video('talk.mp4')}"
        (line,) = server.get(f"{path}/search", params={"words": "bakeries"})["lines"]
        assert (line["text"], line["source"], line["start_s"]) == ("BAKERY", "screen", 8.0)
        lines = server.get(f"{path}/timeline")["subtitles"]
        assert [line["source"] for line in lines] == ["subtitle", "screen"]
        assert "BAKERY" not in server.client.get(f"{path}/subtitles.vtt").text


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "words: Field required"),
        ("?words=", "words: String should have at least 1"),
        ("?words=%20", "words: there are none to search for"),
        (f"?words={'x' * 501}", "words: String should have at most 500"),
        ("?words=x&start_s=50", "not a span of this video"),
        ("?words=x&start_s=3&end_s=2", "not a span of this video"),
        ("?words=x&end_s=nan", "end_s: Input should be a finite number"),
    ],
)
def test_search_invalid(query: str, message: str, library: Path) -> None:
    with serving(library) as server:
        response = server.client.get(f"/api/videos/{server.video('a.mp4')}/search{query}")
        assert response.status_code == 422
        assert message in response.json()["detail"]
        assert "\n" not in response.json()["detail"]


def test_chapters(talk_library: Path) -> None:
    with serving(talk_library) as server:
        chapters = server.get(f"/api/videos/{server.video('talk.mp4')}/chapters")["chapters"]
        assert [chapter["start_s"] for chapter in chapters] == [0, 120]
        assert all(one["end_s"] == following["start_s"] for one, following in pairwise(chapters))
        assert "boat" in chapters[0]["title"].lower()
        assert {line["text"] for line in chapters[1]["key_lines"]} == {TOPICS[1]}
        assert server.client.get("/api/videos/unknown/chapters").status_code == 404
