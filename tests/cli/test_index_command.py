"""The commands ``index`` and ``search``, and ``--index-dir`` of others."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.fakes.tiny_detector import Cell, draw_cells, write_detector
from tests.plugins.cli import lva, lva_process, refusal
from tests.plugins.media import write_pictures, write_screens, write_video

CUES = "1\n00:00:01,000 --> 00:00:02,000\nMira: The lanterns are red\n\n2\n00:00:03,000 --> 00:00:04,000\nOtto: Yes\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two videos with subtitles, one of them in a folder inside, and a file that is not a video."""
    folder = tmp_path / "videos"
    (folder / "more").mkdir(parents=True)
    for number, path in enumerate([folder / "talk.mp4", folder / "more" / "film.mp4"]):
        write_video(path, range(0, 5000 + 1000 * number, 40))
        path.with_suffix(".srt").write_text(CUES.replace("red", ("red", "green")[number]))
    (folder / "broken.mp4").write_text("not a video")
    return folder


def test_index_search_drop(folder: Path, tmp_path: Path) -> None:
    place = ("--index-dir", tmp_path / "indexes")
    video = folder / "talk.mp4"
    assert lva("index", "--status", video, *place).stdout == f"{video}: not indexed\n"
    assert not (tmp_path / "indexes").exists()
    done = lva("index", video, *place)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{video}: 0:05, 2 lines from talk.srt, ")
    status = lva("index", "--status", video, *place).stdout.splitlines()
    assert status[0] == done.stdout.strip()
    assert [line.split(":")[0].strip() for line in status[1:]] == ["length", "subtitles"]
    found = lva("search", video, "lantern", *place)
    assert (found.returncode, found.stdout) == (0, f"{video}  0:01  Mira: The lanterns are red\n")
    assert lva("search", video, "harbour", *place).returncode == 1
    assert "dropped" in lva("index", "--drop", video, *place).stderr
    assert "has no index" in lva("index", "--drop", video, *place).stderr
    assert list((tmp_path / "indexes").iterdir()) == []


def test_index_folder(folder: Path, tmp_path: Path) -> None:
    place = ("--index-dir", tmp_path / "indexes")
    done = lva("index", folder, *place)
    assert done.returncode == 1
    assert [Path(line.split(":")[0]).name for line in done.stdout.splitlines()] == ["film.mp4", "talk.mp4"]
    (warning,) = done.stderr.splitlines()
    assert "broken.mp4" in warning
    found = lva("search", folder, "lanterns", *place)
    assert [line.split("  ")[2] for line in found.stdout.splitlines()] == [
        "Mira: The lanterns are green",
        "Mira: The lanterns are red",
    ]
    lva("index", "--drop", folder, *place)
    assert "not indexed; lva index" in lva("search", folder, "lanterns", *place).stderr


def test_index_screen(tmp_path: Path) -> None:
    place = ("--index-dir", tmp_path / "indexes", "--frames-per-s", "1")
    sign = write_screens(tmp_path / "sign", ["LANTERN", "HARBOUR"], seconds=8)
    (tmp_path / "sign.srt").write_text(CUES)
    lva("index", sign, *place)
    assert lva("search", sign, "harbour", *place).returncode == 1
    done = lva("index", "--screen", sign, *place)
    assert "reading the screen of 1 of 1 video takes up to 4 frames" in done.stderr
    assert "2 lines from sign.srt and 2 lines from the screen" in done.stdout
    found = lva("search", sign, "harbour", *place)
    assert found.stdout == f"{sign}  0:08  HARBOUR\n"
    assert "screen text: 0:00 to 0:16" in lva("index", "--status", sign, *place).stdout


def test_index_objects(tmp_path: Path) -> None:
    """A detector of dogs and persons, given as a folder; its findings are kept, shown by --status and queried."""
    detector = write_detector(tmp_path / "tiny")
    film = tmp_path / "film.mp4"
    shown: list[list[Cell]] = [[("dog", 1, 1)], [("dog", 1, 1), ("person", 2, 2), ("person", 0, 3)], []]
    write_pictures(film, [draw_cells(cells) for cells in shown for _ in range(8)])
    film.with_suffix(".srt").write_text(CUES)
    place = ("--index-dir", tmp_path / "indexes")
    done = lva("index", film, "--objects", detector, *place)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{film}: 0:24, 2 lines from film.srt, 2 kinds of objects, ")
    line = "  objects: 0:00 to 0:24, 6 frames, one every 4 s, by tiny: 2 spans of 2 labels ("
    assert line in lva("index", "--status", film, *place).stdout
    answer = lva("ask", film, "When is a dog shown?", *place)
    assert "0:00" in answer.stdout
    (detector / "model.onnx").write_bytes(b"damaged")
    refused = refusal("index", film, "--objects", detector, *place)
    assert "model.onnx: " in refused
    refused = refusal("index", film, "--objects", tmp_path / "nothing", *place)
    assert refused.endswith("folder; give dfine-nano or a folder; docs/objects.md says what is in one")
    assert line in lva("index", "--status", film, *place).stdout


def test_index_objects_cost_announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes over two seconds is announced; here, that is anything."""
    monkeypatch.setattr("longvideoagent.index.objects.MIN_ANNOUNCED_S", 0.0)
    detector, film = write_detector(tmp_path / "tiny"), tmp_path / "film.mp4"
    write_pictures(film, [draw_cells([])] * 38)
    film.with_suffix(".srt").write_text(CUES)
    done = lva("index", film, "--objects", detector, "--index-dir", tmp_path / "indexes")
    assert "srt, no objects, " in done.stdout
    assert done.stderr == "lva: film.mp4: looking for objects in 2 more frames takes up to about 0 s\n"
    again = lva("index", film, "--objects", detector, "--index-dir", tmp_path / "indexes")
    assert (again.returncode, again.stderr) == (0, "")


def test_objects_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of docs/objects.md, with a small detector."""
    monkeypatch.setenv("LVA_INDEX_DIR", str(tmp_path / "indexes"))
    detector = write_detector(tmp_path / "tiny")
    write_pictures(tmp_path / "talk.mp4", [draw_cells([("dog", 1, 1)])] * 8)
    (tmp_path / "talk.srt").write_text(CUES)
    text = (Path(__file__).resolve().parents[2] / "docs" / "objects.md").read_text()
    lines = text.partition("```bash\n")[2].partition("```")[0].splitlines()
    commands = [shlex.split(line, comments=True)[1:] for line in lines[2:]]
    assert [command[0] for command in commands] == ["index", "index", "ask", "ask"]
    for command in commands:
        done = lva(*(str(detector) if word == "dfine-nano" else word for word in command), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert ("seems to show" in done.stdout) == (command[0] == "ask")


def test_index_next_to_video(folder: Path) -> None:
    video = folder / "talk.mp4"
    assert lva_process("index", video, "--index-dir", "next-to-video").returncode == 0
    assert (folder / "talk.mp4.lva-index").is_file()
    assert lva("ask", video, "Who says yes?", "--index-dir", "next-to-video").returncode == 0
    assert lva("chapters", video, env={"LVA_INDEX_DIR": "next-to-video"}).returncode == 0


def test_ask_without_usable_index_warns_once(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = lva("ask", folder / "talk.mp4", "Who says yes?", "--index-dir", tmp_path / "file")
    assert done.returncode == 0
    assert len([line for line in done.stderr.splitlines() if "is not used" in line]) == 1


def test_index_reports_a_damaged_file(folder: Path, tmp_path: Path) -> None:
    video, place = folder / "talk.mp4", ("--index-dir", tmp_path)
    lva("index", video, *place)
    (index,) = tmp_path.glob("*.lva-index")
    index.write_bytes(b"SQLite format 3\0" + bytes(5000))
    assert "is not used" in lva("index", "--status", video, *place).stdout
    done = lva("index", video, *place)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "lva index --drop talk.mp4" in line
    lva("index", "--drop", video, *place)
    assert lva("index", video, *place).returncode == 0


def test_index_refusals(folder: Path, tmp_path: Path) -> None:
    assert "give one of them" in refusal("index", folder, "--status", "--drop")
    assert "no such file" in refusal("index", tmp_path / "nowhere.mp4")
    (tmp_path / "empty").mkdir()
    assert "no video in this folder" in refusal("index", tmp_path / "empty")
    assert "not a readable video" in refusal("index", folder / "broken.mp4")
    assert "no words" in refusal("search", folder, " ")


def test_index_document(folder: Path) -> None:
    """The commands of docs/video-index.md."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "video-index.md").read_text()
    commands = text.partition("```bash\n")[2].partition("```")[0].splitlines()
    (folder / "broken.mp4").unlink()
    assert len(commands) == 6
    for command in commands:
        done = lva(*shlex.split(command, comments=True)[1:], cwd=folder)
        assert done.returncode == 0, (command, done.stderr)


def test_index_of_subtitles_in_an_encoding(folder: Path, tmp_path: Path) -> None:
    place = ("--index-dir", tmp_path / "indexes")
    video, options = folder / "talk.mp4", ("--encoding", "cp1251")
    video.with_suffix(".srt").write_text(CUES.replace("lanterns", "фонари"), encoding="cp1251")
    assert lva("index", video, *options, *place).returncode == 0
    assert "фонари" in lva("search", video, "фонари", *options, *place).stdout
    assert "not indexed" in lva("search", video, "фонари", "--encoding", "cp1250", *place).stderr
    assert "cp9999" in refusal("index", video, "--encoding", "cp9999", *place)
