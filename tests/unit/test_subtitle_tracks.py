"""Which subtitles of a video are read: files next to it, streams inside it, pictures and captions."""

from __future__ import annotations

from pathlib import Path

import pytest
from av.stream import Disposition

from longvideoagent import ask
from longvideoagent.errors import DataError, UsageError
from longvideoagent.media.subtitles import choose_subtitles, find_sidecars
from longvideoagent.media.subtitles.languages import language_code, system_language
from tests.fakes.subtitle_streams import (
    CLEAR,
    SILENT,
    TextStream,
    box,
    coded,
    drawn,
    mux,
    mux_samples,
    pop_on,
    roll_up,
    write_captioned,
    write_pgs,
)
from tests.plugins.cli import lva
from tests.plugins.media import write_video

HELLO = [(1000, 2500, "Mira: Hello"), (3000, 4000, "Bye")]
HALLO = [(1000, 2500, "Mira: Hallo"), (3000, 4000, "Tschüs")]
SIGN = [(1000, 2500, "(HARBOUR)")]
FORCED, DEFAULT = Disposition.forced, Disposition.default


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tracks") / "plain.mp4"
    write_video(path, range(0, 5000, 40))
    return path


@pytest.fixture
def film(pictures: Path, tmp_path: Path) -> Path:
    """A video without subtitles, in a folder of its own."""
    path = tmp_path / "film.mp4"
    path.write_bytes(pictures.read_bytes())
    return path


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")


def srt(*lines: str) -> str:
    return "\n".join(f"{n}\n00:00:0{n},000 --> 00:00:0{n},900\n{line}\n" for n, line in enumerate(lines, 1))


def texts(video: Path, *wanted: str | Path) -> list[str]:
    return [line.text for line in choose_subtitles(video, wanted).subtitles]


# --- files next to the video ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "best"),
    [
        (["talk.en.vtt"], "talk.en.vtt"),
        (["talk.en.vtt", "talk.SRT"], "talk.SRT"),
        (["talk.de.srt", "talk.en.srt"], "talk.en.srt"),
        (["talk.default.de.srt", "talk.en.srt"], "talk.default.de.srt"),
        (["talk.en.forced.srt", "talk.de.srt"], "talk.de.srt"),
        (["talk.en.sdh.srt", "talk.en.srt"], "talk.en.srt"),
        (["talk.en.hi.srt", "talk.fr.srt"], "talk.en.hi.srt"),
        (["talk.hi.srt", "talk.eng.srt"], "talk.eng.srt"),
        (["talk.pt-BR.cc.srt"], "talk.pt-BR.cc.srt"),
        (["talk.English.srt", "talk.German.srt"], "talk.English.srt"),
        (["talk.en.forced.srt"], "talk.en.forced.srt"),
        (["talkative.srt"], ""),
        (["talk_en.srt"], "talk_en.srt"),
        (["talk-German.srt", "talk-en.srt"], "talk-en.srt"),
        (["talk.mp4.de.srt", "talk.mp4.en.srt"], "talk.mp4.en.srt"),
        (["talk.mp4.srt", "talk.en.srt"], "talk.mp4.srt"),
        (["talk.en.ai.srt", "talk.de.srt"], "talk.en.ai.srt"),
        (["talk.en.ai.srt", "talk.en.sdh.srt"], "talk.en.sdh.srt"),
        (["talk.en-orig.vtt", "talk.en.vtt"], "talk.en.vtt"),
        (["talk.en-orig.vtt", "talk.en.auto.vtt"], "talk.en-orig.vtt"),
        (["talk.de-en.vtt", "talk.de.vtt"], "talk.de.vtt"),
        (["talk.Director's Commentary.en.srt", "talk.Long Version.en.srt"], "talk.Long Version.en.srt"),
        (["talk.Director's Commentary.en.srt"], "talk.Director's Commentary.en.srt"),
        (["talk.Long Version.en.srt", "talk.de.srt"], "talk.de.srt"),
        (["talk.This Is It.srt"], ""),
        (["talk-2.srt"], ""),
        (["Subs/talk.en.srt"], "Subs/talk.en.srt"),
        (["subtitles/2_English.srt", "subtitles/3_German.srt"], "subtitles/2_English.srt"),
        (
            ["Subs/talk/2_English.srt", "Subs/talk/3_English (SDH).srt", "Subs/talk/4_ger.srt"],
            "Subs/talk/2_English.srt",
        ),
        (["Subs/2_English.srt", "talk.srt"], "talk.srt"),
        (["Subs/talk.srt", "talk.srt"], "talk.srt"),
        (["Subs/English [Forced].srt", "Subs/German.srt"], "Subs/German.srt"),
    ],
)
def test_best_file_next_to_video(files: list[str], best: str, film: Path) -> None:
    video = film.rename(film.with_name("talk.mp4"))
    for name in files:
        (video.parent / name).parent.mkdir(parents=True, exist_ok=True)
        header = "WEBVTT\n\n" if name.endswith(".vtt") else ""
        (video.parent / name).write_text(header + srt(f"from {name}", "and more").replace(",", "." if header else ","))
    chosen = choose_subtitles(video)
    assert chosen.source == best
    assert [line.text for line in chosen.subtitles] == ([f"from {best}", "and more"] if best else [])


def test_other_tracks_are_named(film: Path) -> None:
    film.with_suffix(".en.srt").write_text(srt("Hello"))
    assert choose_subtitles(film).warnings == ()
    film.with_suffix(".de.srt").write_text(srt("Hallo"))
    film.with_suffix(".fr.forced.srt").write_text(srt("Panneau"))
    (warning,) = choose_subtitles(film).warnings
    assert warning.startswith("subtitles from film.en.srt; there are also film.de.srt, film.fr.forced.srt: --subtitles")


def test_files_that_are_not_read_are_named(film: Path) -> None:
    for name in ("film.sup", "film.extended.srt"):
        (film.parent / name).write_text(srt("x"))
    chosen = choose_subtitles(film)
    assert chosen.subtitles == []
    assert [warning.split(",")[0] for warning in chosen.warnings] == ["film.extended.srt", "film.sup"]


def test_files_of_other_videos(film: Path) -> None:
    for name in ("film-en.mp4", "film.part2.mkv"):
        (film.parent / name).touch()
    (film.parent / "Subs").mkdir()
    for name in ("film-en.srt", "film.part2.en.srt", "Subs/2_English.srt", "Subs/film.part2.srt", "Subs/film.de.srt"):
        (film.parent / name).write_text(srt(name))
    chosen = choose_subtitles(film)
    assert chosen.source == "Subs/film.de.srt"
    assert [warning.split(",")[0] for warning in chosen.warnings] == ["Subs/2_English.srt"]
    assert [track.name for track in find_sidecars(film.parent / "film-en.mp4").tracks] == ["film-en.srt"]


def test_many_files_that_are_not_read_are_counted(film: Path) -> None:
    for number in range(8):
        (film.parent / f"film.take{number}.srt").write_text(srt("x"))
    warnings = choose_subtitles(film).warnings
    assert len(warnings) == 6
    assert warnings[-1].startswith("3 more subtitle files")


def test_manual_track_is_not_short_next_to_automatic_words(film: Path) -> None:
    film.with_suffix(".en.srt").write_text(srt("One sentence of many words"))
    film.with_suffix(".en-orig.srt").write_text(srt("One", "sentence", "of", "many", "words"))
    assert texts(film) == ["One sentence of many words"]


def test_file_that_cannot_be_read_leaves_the_place_to_others(film: Path) -> None:
    film.with_suffix(".srt").write_bytes(b"\x00\x01\x02" * 100)
    film.with_suffix(".de.srt").write_text(srt("Hallo"))
    chosen = choose_subtitles(film)
    assert [line.text for line in chosen.subtitles] == ["Hallo"]
    assert "film.srt: binary data" in chosen.warnings[0]


def test_clearly_longer_file_before_the_user_language(film: Path) -> None:
    film.with_suffix(".en.srt").write_text(srt("Only one"))
    film.with_suffix(".de.srt").write_text(srt("Eins", "Zwei", "Drei"))
    assert texts(film) == ["Eins", "Zwei", "Drei"]


def test_system_language(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("de", "en"):
        film.with_suffix(f".{name}.srt").write_text(srt(name))
    for value, language in (("de_AT.UTF-8", "de"), ("C", "en"), ("C.UTF-8", "en"), ("", "en"), ("en", "en")):
        monkeypatch.setenv("LC_ALL", value)
        assert system_language() == language
        assert texts(film) == [language]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ger", "de"),
        ("German", "de"),
        ("de-AT", "de"),
        ("pt_BR", "pt"),
        ("und", ""),
        ("x", ""),
        ("tlh", "tlh"),
        ("", ""),
    ],
)
def test_language_code(text: str, code: str) -> None:
    assert language_code(text) == code


def test_sidecar_next_to_frame_folder(tmp_path: Path) -> None:
    (tmp_path / "clip.01").mkdir()
    (tmp_path / "clip.01.srt").touch()
    assert [track.name for track in find_sidecars(tmp_path / "clip.01").tracks] == ["clip.01.srt"]


# --- streams -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "subrip"), (".mp4", "mov_text")])
def test_embedded_subtitles(suffix: str, codec: str, pictures: Path, tmp_path: Path) -> None:
    path = tmp_path / f"with{suffix}"
    mux(pictures, [TextStream(HELLO, codec)], path)
    lines = choose_subtitles(path).subtitles
    assert [line.text for line in lines] == ["Mira: Hello", "Bye"]
    assert [line.start_s for line in lines] == pytest.approx([1.0, 3.0], abs=0.05)
    assert [line.end_s for line in lines] == pytest.approx([2.5, 4.0], abs=0.05)
    assert choose_subtitles(path).warnings == ()


@pytest.mark.parametrize(
    ("streams", "expected"),
    [
        ([TextStream([]), TextStream(HELLO)], "Mira: Hello"),
        ([TextStream(SIGN, disposition=FORCED), TextStream(HELLO, disposition=DEFAULT)], "Mira: Hello"),
        ([TextStream(SIGN, disposition=FORCED | DEFAULT), TextStream(HELLO)], "Mira: Hello"),
        ([TextStream(HALLO, language="ger"), TextStream(HELLO, language="eng")], "Mira: Hello"),
        ([TextStream(HELLO, language="eng"), TextStream(HALLO, "subrip", "ger", DEFAULT)], "Mira: Hallo"),
        ([TextStream(SIGN, language="eng"), TextStream([*HALLO, (4100, 4200, "Ja")], language="ger")], "Mira: Hallo"),
    ],
)
def test_best_stream(streams: list[TextStream], expected: str, pictures: Path, tmp_path: Path) -> None:
    mux(pictures, streams, tmp_path / "film.mkv")
    assert texts(tmp_path / "film.mkv")[0] == expected


def test_files_and_streams_ranked_alike(pictures: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    mux(pictures, [TextStream(HELLO, language="eng", disposition=DEFAULT)], film)
    sidecar = tmp_path / "film.en.forced.srt"
    sidecar.write_text(srt("A sign"))
    assert texts(film) == ["Mira: Hello", "Bye"]
    sidecar = sidecar.rename(tmp_path / "film.en.srt")
    sidecar.write_text(srt("From the file", "and on"))
    assert texts(film) == ["From the file", "and on"]


# --- tracks that a user names ---------------------------------------------------------------------


@pytest.fixture
def bilingual(pictures: Path, tmp_path: Path) -> Path:
    film = tmp_path / "film.mkv"
    mux(pictures, [TextStream(HELLO, language="eng"), TextStream(HALLO, language="ger")], film)
    return film


def test_named_tracks(bilingual: Path) -> None:
    assert texts(bilingual, "#2") == texts(bilingual, "de") == texts(bilingual, "German") == ["Mira: Hallo", "Tschüs"]
    assert texts(bilingual, "en", "#2") == ["Mira: Hello", "Mira: Hallo", "Bye", "Tschüs"]
    own = bilingual.with_name("own.txt.srt")
    own.write_text(srt("Own"))
    assert texts(bilingual, own) == ["Own"]
    assert choose_subtitles(bilingual, ["en", own]).source == "subtitle stream #1 (en) of the file, own.txt.srt"


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("#3", UsageError, r"--subtitles #3: film\.mkv has #1 \(en\), #2 \(de\)"),
        ("fr", UsageError, r"no subtitles in that language; film\.mkv has #1 \(en\), #2 \(de\)"),
        ("none.srt", DataError, "no such subtitle file"),
        (".", DataError, "a folder, not a subtitle file"),
    ],
)
def test_named_track_that_does_not_exist(name: str, kind: type[Exception], message: str, bilingual: Path) -> None:
    with pytest.raises(kind, match=message):
        choose_subtitles(bilingual, [name])


def test_named_tracks_of_a_command(bilingual: Path) -> None:
    done = lva("ask", bilingual, "Who?", "--subtitles", "#2", "--subtitles", "en")
    assert "subtitle stream #2 (de) of the file, subtitle stream #1 (en) of the file" in done.stdout
    assert "has #1 (en), #2 (de)" in lva("ask", bilingual, "Who?", "--subtitles", "#7").stderr
    trace = ask(bilingual, "Who says Tschüs?", subtitles=["de"])
    assert any(line.text == "Tschüs" for line in trace.groundings[0].clip.subtitles)


# --- pictures, samples, captions ------------------------------------------------------------------


def test_subtitles_that_are_pictures(tmp_path: Path) -> None:
    shown = [(1000, 2000, drawn("Good morning")), (3000, 4000, drawn("Goodbye captain"))]
    write_pgs(tmp_path / "film.sup", shown)
    stages = []
    chosen = choose_subtitles(tmp_path / "film.sup", progress=lambda stage, _: stages.append(stage))
    assert [line.text for line in chosen.subtitles] == ["Good morning", "Goodbye captain"]
    assert [(line.start_s, line.end_s) for line in chosen.subtitles] == [(0.0, 1.0), (2.0, 3.0)]
    assert "pictures, whose text was recognised" in chosen.warnings[0]
    assert "reading subtitles that are pictures" in stages


def test_pictures_without_text_are_reported(tmp_path: Path) -> None:
    write_pgs(tmp_path / "film.sup", [(0, 1000, drawn("Ok") * 0 + 1), (2000, 3000, drawn(" "))])
    chosen = choose_subtitles(tmp_path / "film.sup")
    assert chosen.subtitles == []
    assert "is pictures, in which no text was recognised" in chosen.warnings[0]


def test_webvtt_in_mp4(pictures: Path, tmp_path: Path) -> None:
    cue = box(b"vttc", box(b"iden", b"7") + box(b"payl", b"<v Mira>Hello &amp; <i>bye</i>"))
    samples = [(0, 1000, box(b"vtte", b"")), (1000, 2500, cue), (3000, 4000, b"\x00\x00\x00\x63vttc")]
    mux_samples(pictures, b"wvtt", samples, tmp_path / "film.mp4")
    (line,) = choose_subtitles(tmp_path / "film.mp4").subtitles
    assert (line.start_s, line.end_s, line.text) == (1.0, 2.5, "Mira: Hello & bye")


def test_closed_captions(tmp_path: Path) -> None:
    shown = pop_on("HELLO THERE")
    pairs = [*[SILENT] * 9, *shown, *[SILENT] * 25, *CLEAR, *[SILENT] * 9]
    write_captioned(tmp_path / "film.ts", pairs)
    chosen = choose_subtitles(tmp_path / "film.ts")
    ((start_s, end_s, text),) = [(line.start_s, line.end_s, line.text) for line in chosen.subtitles]
    assert (text, chosen.source) == ("HELLO THERE", "closed captions")
    assert start_s == pytest.approx((9 + len(shown) - 2) / 25, abs=0.05)
    assert end_s == pytest.approx((9 + len(shown) + 25) / 25, abs=0.05)


def test_closed_captions_that_scroll(tmp_path: Path) -> None:
    rows = ["FIRST ROW", "SECOND ROW", "THIRD ROW"]
    pairs = [pair for row in rows for pair in (*roll_up(row), *[SILENT] * 20)]
    write_captioned(tmp_path / "film.ts", [SILENT, *pairs, *CLEAR, SILENT])
    assert texts(tmp_path / "film.ts") == rows


def test_video_without_captions(film: Path) -> None:
    assert choose_subtitles(film).source == ""


def test_closed_captions_in_a_stream_of_their_own(pictures: Path, tmp_path: Path) -> None:
    rows = ["FIRST ROW", "SECOND ROW"]
    pairs = [pair for row in rows for pair in (*roll_up(row), *[SILENT] * 20)]
    samples = [(40 * number, 40 * number + 40, box(b"cdat", coded(pair))) for number, pair in enumerate(pairs)]
    mux_samples(pictures, b"c608", samples, tmp_path / "film.mp4")
    assert texts(tmp_path / "film.mp4") == rows


@pytest.mark.parametrize(
    ("video", "sidecar"), [("Film.mp4", "film.SRT"), ("Caf\u00e9.mp4", "Cafe\u0301.en.srt"), ("a.B.mp4", "A.b.en.srt")]
)
def test_name_in_other_case_or_accents(video: str, sidecar: str, film: Path) -> None:
    video_path = film.rename(film.with_name(video))
    (film.parent / sidecar).write_text(srt("Hello"))
    assert texts(video_path) == ["Hello"]


def test_region_of_a_language(film: Path) -> None:
    for code in ("zh-Hans", "zh-TW"):
        film.with_suffix(f".{code}.srt").write_text(srt(code))
    assert texts(film, "zh-TW") == ["zh-TW"]
    assert texts(film, "zh-hans") == ["zh-Hans"]
