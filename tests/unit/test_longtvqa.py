"""The release layout, read whole and read broken."""

from __future__ import annotations

import json
import os
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent import RolloutSettings, answer, load_team
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.trace import Agents
from longvideoagent.datasets.check import check_dataset
from longvideoagent.datasets.fields import read_span
from longvideoagent.datasets.longtvqa.clips import ClipName, split_transcript
from longvideoagent.datasets.longtvqa.read import read_longtvqa
from longvideoagent.datasets.registry import open_dataset
from longvideoagent.errors import DataError
from longvideoagent.media.readers.frame_folder import FrameFolderReader
from longvideoagent.media.video_writer import encode_frames
from tests.fakes.release import CLIPS, TEXTS, question, write_frames, write_release
from tests.plugins.environment import SHARED

HERE = json.dumps({"clip": CLIPS[1], "subtitle": "Otto : Here."})
REAL = SHARED / "data" / "longtvqa_plus"


def test_a_question_comes_with_its_gold_on_the_episodes_axis(tmp_path: Path) -> None:
    data = read_longtvqa(write_release(tmp_path / "d"))
    (sample,) = data.samples
    assert data.problems == ()
    assert (sample.question.id, sample.question.text) == ("1", "What does Otto hold ?")
    assert sample.question.options[1] == "A lantern"
    assert (sample.video, sample.kind) == ("s01e01", "what")
    assert (sample.gold.option_index, sample.gold.clip) == (1, CLIPS[1])
    assert (sample.gold.start_s, sample.gold.end_s) == (62.0, 65.5)
    (box,) = data.boxes(sample) or ()
    assert (box.time_s, box.left, box.top, box.width, box.height, box.label) == (62.0, 2, 1, 3, 4, "Otto")


def test_an_episode_is_its_clips_in_order_with_their_lines(tmp_path: Path) -> None:
    data = read_longtvqa(write_release(tmp_path / "d"))
    timeline = data.timeline("s01e01")
    assert [clip.label for clip in timeline.clips] == list(CLIPS[:3])
    assert [clip.start_s for clip in timeline.clips] == [0.0, 60.0, 110.0]
    assert timeline.duration_s == 175.5
    assert [line.text for line in timeline.clips[0].subtitles] == [
        "Mira: The bakery is closed.",
        "Otto: Is it?",
        "Dr. Lund: It is.",
    ]
    assert timeline.clips[1].subtitles[0].start_s == 60.0
    assert data.timeline("s01e01") is timeline


@pytest.mark.parametrize(
    ("told", "right"),
    [({"answer": "a3"}, 3), ({"answer": None, "answer_idx": 2}, 2), ({"answer": None, "answer_idx": "4"}, 4),
     ({"answer": None}, None), ({"answer": ""}, None), ({"answer": "A2"}, 2), ({"answer": 0}, 0)],
)  # fmt: skip
def test_answers_come_in_several_forms_or_not_at_all(told: dict[str, Any], right: int | None, tmp_path: Path) -> None:
    data = read_longtvqa(write_release(tmp_path / "d", [question(**told)]))
    assert data.samples[0].gold.option_index == right
    assert data.problems == ()


@pytest.mark.parametrize(
    ("told", "span"),
    [([48.62, 60.0], (48.62, 60.0)), ("48.62-60.02", (48.62, 60.02)), ("NaN-NaN", None), (["1", "2"], (1.0, 2.0)),
     ([5, 2], None), ([-1, 2], None), ([1], None), (7, None), ([True, 2], None), ([float("nan"), 2.0], None)],
)  # fmt: skip
def test_times_come_in_several_forms(told: object, span: tuple[float, float] | None) -> None:
    assert read_span(told) == span


@pytest.mark.parametrize(
    ("fault", "field", "told", "is_kept"),
    [
        ({"q": ""}, "q", "no question", False),
        ({"a2": " "}, "a2", "missing or empty", False),
        ({"a2": True}, "a2", "missing or empty", False),
        ({"a0": None}, "a0", "missing or empty", False),
        ({"ts": [900.0, 901.0]}, "ts", "begins after the clip ends", True),
        ({"ts": [1.0, 10**400]}, "ts", "not a span in seconds", True),
        ({"qid": None}, "qid", "no id", False),
        ({"occur_clip": "../../etc/passwd"}, "occur_clip", "not the name of a clip", False),
        ({"occur_clip": "s01e01/clip"}, "occur_clip", "not the name of a clip", False),
        ({"occur_clip": "s09e01_seg01_clip_00"}, "occur_clip", "neither subtitles nor a length", False),
        ({"answer": "a7"}, "answer", "none of a0 to a4", True),
        ({"answer": {"x": 1}}, "answer", "none of a0 to a4", True),
        ({"ts": [float("nan"), 2.0]}, "ts", "not a span in seconds", True),
        ({"ts": [1.0, 51.0]}, "ts", "ends after the clip", True),
        ({"episode_name": "s01e02"}, "episode_name", "its clip is of s01e01", True),
    ],
)
def test_what_is_wrong_is_told_by_line_and_field_and_never_dropped_silently(
    fault: dict[str, Any], field: str, told: str, is_kept: bool, tmp_path: Path
) -> None:
    data = read_longtvqa(write_release(tmp_path / "d", [question(1), question(2, **fault), question(3)]))
    (problem,) = data.problems
    assert (problem.line, problem.record, problem.field) == (3, 2, field)
    assert told in problem.message
    assert str(problem).startswith(f"{data.questions}:3: record 2: {field}: ")
    assert len(data.samples) == (3 if is_kept else 2)


def test_null_is_as_good_as_absent(tmp_path: Path) -> None:
    """Tables turned into JSON have every column in every record."""
    folder = write_release(tmp_path / "d", [])
    told = question(1) | {"answer": None, "answer_idx": 3, "occur_clip": None, "vid_name": CLIPS[1], "ts": None}
    (folder / "LongTVQA_plus_val.json").write_text(json.dumps([told | {"bbox": None, "episode_name": None}]))
    data = read_longtvqa(folder)
    assert (data.problems, data.boxes(data.samples[0])) == ((), ())
    assert (data.samples[0].gold.option_index, data.samples[0].gold.clip) == (3, CLIPS[1])


def test_an_empty_text_is_as_good_as_absent(tmp_path: Path) -> None:
    told = question(1, answer="", occur_clip="", answer_idx=3, vid_name=CLIPS[0])
    data = read_longtvqa(write_release(tmp_path / "d", [told]))
    assert data.problems == ()
    assert (data.samples[0].gold.option_index, data.samples[0].gold.clip) == (3, CLIPS[0])


def test_tvqas_way_to_tell_no_times_is_no_fault(tmp_path: Path) -> None:
    data = read_longtvqa(write_release(tmp_path / "d", [question(1, ts="NaN-NaN")]))
    assert (data.problems, data.samples[0].gold.start_s) == ((), None)
    assert check_dataset(data).counts["questions without times"] == 1


def test_a_span_ends_with_its_clip(tmp_path: Path) -> None:
    data = read_longtvqa(write_release(tmp_path / "d", [question(1, ts=[2.0, 50.2])]))
    assert (data.problems, data.samples[0].gold.end_s) == ((), 110.0)


def test_a_span_after_a_clip_of_guessed_length_is_told(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d", [question(1, ts=[70.0, 75.0]), question(2, ts=[50.0, 75.0])])
    (folder / "clip_durations.json").unlink()
    data = read_longtvqa(folder)
    assert [problem.field for problem in data.problems] == ["ts", "ts"]
    assert all("(60.0 s, a guess)" in problem.message for problem in data.problems)
    assert [sample.gold.end_s for sample in data.samples] == [None, 120.0]


@pytest.mark.parametrize(
    ("lines", "end_s"),
    [([[1, 95.0, "A song."], [2, 3, "Hi."]], 95.0), ([["1", "95", "A song."], ["2", "3", "Hi."]], 95.0),
     ([[1, 95.0, "A song."], [2, "3", "Hi."], "x"], 95.0), ([[1, 95, "A song."], [2, 1e9, 7]], 95.0), ([], 60.0)],
)  # fmt: skip
def test_a_guessed_clip_lasts_until_its_last_line_ends(lines: list[Any], end_s: float, tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    (folder / "clip_durations.json").unlink()
    (folder / "clip_subtitles.json").write_text(json.dumps({CLIPS[0]: lines, CLIPS[1]: []}))
    assert read_longtvqa(folder).episodes.starts_s[CLIPS[1]] == end_s


def test_an_id_that_stands_twice_is_told_with_both_places(tmp_path: Path) -> None:
    data = read_longtvqa(write_release(tmp_path / "d", [question(1), question(2), question(1)]))
    assert [sample.question.id for sample in data.samples] == ["1", "2"]
    assert "line 2 (record 1)" in str(data.problems[0])


def test_one_broken_line_of_json_lines_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    write_release(tmp_path / "d")
    (tmp_path / "d" / "LongTVQA_plus_val.json").unlink()
    rows = [json.dumps(question(1)), '{"qid": 2, "q": "cut off', "", "[]", json.dumps(question(3))]
    (tmp_path / "d" / "LongTVQA_val.jsonl").write_text("\n".join(rows))
    data = read_longtvqa(tmp_path / "d")
    assert [sample.question.id for sample in data.samples] == ["1", "3"]
    assert [problem.line for problem in data.problems] == [2, 4]
    data = read_longtvqa(write_release(tmp_path / "e", [question(1), question(1)]))
    assert data.name == "LongTVQA_plus"


@pytest.mark.parametrize("text", ['[\n{"qid": 1},\n{"qid": 2, "q": "wh', "[", "{", '{"a": '])
def test_a_file_cut_short_is_refused_with_its_line(text: str, tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    (folder / "LongTVQA_plus_val.json").write_text(text)
    if text.startswith("["):
        with pytest.raises(DataError, match=r"LongTVQA_plus_val\.json:\d+: broken JSON"):
            read_longtvqa(folder)
    else:
        assert read_longtvqa(folder).problems


@pytest.mark.parametrize("shape", ["list", "lines", "one line"])
def test_halves_of_characters_and_names_that_stand_twice_are_told(shape: str, tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    whole = json.dumps(question(1, q="Why \U0001f600 \\ud83d?"))
    invalid_fields = json.dumps(question(2, q="Who came \ud83d?")).replace(
        '"a1": "A lantern"', '"a1": "x", "a1": "A lantern"'
    )
    questions = folder / "LongTVQA_plus_val.json"
    if shape == "lines":
        questions.unlink()
        questions = folder / "LongTVQA_plus_val.jsonl"
        questions.write_text(f"{whole}\n\n{invalid_fields}\n")
    else:
        questions.write_text(f"[{whole},{'' if shape == 'one line' else chr(10) * 2}{invalid_fields}]")
    data = read_longtvqa(folder)
    assert [sample.question.text for sample in data.samples] == ["Why \U0001f600 \\ud83d?", "Who came ??"]
    where = f"{questions}:{1 if shape == 'one line' else 3}: record 2"
    told = sorted(str(problem).partition(",")[0] for problem in data.problems)
    assert told == [f"{where}: a1: duplicate key in one object", f"{where}: q: contains an unpaired surrogate"]


def test_halves_of_characters_and_clips_that_stand_twice_in_texts_are_told(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    text = f'{{"{CLIPS[0]}": "Mira : A.",\n"{CLIPS[0]}": "Mira : B \\ud83d",\n"{CLIPS[1]}": "Otto : C."}}'
    (folder / "LongTVQA_plus_subtitle_clip_level.json").write_text(text)
    (folder / "clip_durations.json").write_text(f'{{"{CLIPS[0]}": 60.0,\n"{CLIPS[0]}": 61.0}}')
    data = read_longtvqa(folder)
    assert [line.text for line in data.timeline("s01e01").subtitles] == ["Mira: B ?", "Otto: C."]
    assert [(problem.path.name, problem.line, problem.field, problem.message[:5]) for problem in data.problems] == [
        ("clip_durations.json", 2, CLIPS[0], "dupli"),
        ("LongTVQA_plus_subtitle_clip_level.json", 2, CLIPS[0], "dupli"),
        ("LongTVQA_plus_subtitle_clip_level.json", 2, CLIPS[0], "conta"),
    ]


def test_impossible_folders_are_refused(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    with pytest.raises(DataError, match="no split 'test'; there are val"):
        read_longtvqa(folder, "test")
    with pytest.raises(DataError, match="not a folder"):
        read_longtvqa(tmp_path / "nowhere")
    with pytest.raises(DataError, match="give a folder with"):
        open_dataset(tmp_path)
    (folder / "LongTVQA_val.jsonl").write_text(json.dumps(question()))
    with pytest.raises(DataError, match=r"LongTVQA_plus_val\.json and LongTVQA_val\.jsonl are the same split"):
        read_longtvqa(folder)
    (folder / "LongTVQA_val.jsonl").unlink()
    for name in ("clip_durations.json", "clip_subtitles.json"):
        (folder / name).write_text("[]")
        with pytest.raises(DataError, match=f"{name}: not a JSON object"):
            read_longtvqa(folder)
        (folder / name).unlink()
    with (folder / "LongTVQA_plus_val.json").open("r+b") as file:
        os.ftruncate(file.fileno(), 2_000_000_000)  # sparse, so that it takes no room
    with pytest.raises(DataError, match=r"2\.0 GB"):
        read_longtvqa(folder)


@pytest.mark.parametrize("shape", ["object", "lines", "single keys", "list", "episode"])
def test_subtitles_come_in_several_shapes(shape: str, tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    by_clip = folder / "LongTVQA_plus_subtitle_clip_level.json"
    by_clip.unlink()
    rows = [{"clip": clip, "subtitle": text} for clip, text in TEXTS.items()]
    if shape == "object":
        by_clip.write_text(json.dumps(TEXTS))
    elif shape == "lines":
        by_clip.with_suffix(".jsonl").write_text("\n".join(map(json.dumps, rows)))
    elif shape == "single keys":
        by_clip.with_suffix(".jsonl").write_text("\n".join(json.dumps({clip: text}) for clip, text in TEXTS.items()))
    elif shape == "list":
        by_clip.write_text(json.dumps(rows))
    else:
        whole = {
            episode: "\n".join(f"<{clip}>{TEXTS[clip]}</{clip}>" for clip in CLIPS if clip.startswith(episode))
            for episode in ("s01e01", "s01e02")
        }
        (folder / "LongTVQA_plus_subtitle_episode_level.json").write_text(json.dumps(whole))
    data = read_longtvqa(folder)
    assert data.problems == ()
    assert [line.text for line in data.timeline("s01e01").subtitles][
        -1
    ] == "Mira: We are late because the bus broke down."


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("clip_level.json", json.dumps({CLIPS[1]: "Otto : Here."}), []),
        ("clip_level.jsonl", f"{HERE}\n{HERE}", ["duplicate clip"]),
        ("clip_level.json", json.dumps({CLIPS[1]: "Otto : Here.", "../x": "No"}), ["../x: is not the name of a clip"]),
        ("clip_level.jsonl", '{"clip": "s01\n' + HERE, ["not JSON"]),
        ("episode_level.json", json.dumps({"s01e01": f"<{CLIPS[1]}>Otto : Here.</{CLIPS[1]}>", "s01e02": "No mark"}),
         ["no clip is tagged"]),
        ("episode_level.json", json.dumps({"s01e01": f"Recap: <i>old <{CLIPS[1]}>Otto : Here.</{CLIPS[1]}>"}),
         ["s01e01: 2 words are outside of <clip>…</clip>, 'Recap:' first"]),
        ("episode_level.json", json.dumps({"s01e01": f"<{CLIPS[0]}>Lost. <{CLIPS[1]}>Otto : Here.</{CLIPS[1]}>"}),
         [f"s01e01: 1 words are outside of <clip>…</clip>, '<{CLIPS[0]}>Lost.' first"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_subtitles_is_told_and_the_rest_is_read(
    name: str, text: str, told: list[str], tmp_path: Path
) -> None:
    folder = write_release(tmp_path / "d")
    (folder / "LongTVQA_plus_subtitle_clip_level.json").unlink()
    (folder / f"LongTVQA_plus_subtitle_{name}").write_text(text)
    data = read_longtvqa(folder)
    assert [line.text for line in data.timeline("s01e01").subtitles] == ["Otto: Here."]
    assert len(data.problems) == len(told)
    assert all(part in str(problem) for part, problem in zip(told, data.problems, strict=True))


def test_marks_without_an_end_take_no_time(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    (folder / "LongTVQA_plus_subtitle_clip_level.json").unlink()
    marks = "<i>" * 200_000 + f"<{CLIPS[0]}>" * 20_000  # minutes, were an end looked for from each
    text = f"{marks}<{CLIPS[1]}>Otto : Here.</{CLIPS[1]}>"
    (folder / "LongTVQA_plus_subtitle_episode_level.json").write_text(json.dumps({"s01e01": text}))
    assert list(read_longtvqa(folder).texts) == [CLIPS[1]]


def test_lines_with_times_are_kept_and_what_is_wrong_with_them_is_told(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    lines = {CLIPS[0]: [[1, 2, "Mira: Hi."], [61, 63, "Late."], ["x", 2, "No."]], CLIPS[1]: [[70.0, 75.0, "Long."]]}
    (folder / "clip_subtitles.json").write_text(json.dumps(lines))
    (folder / "clip_durations.json").write_text(json.dumps({CLIPS[0]: 60.0}))
    data = read_longtvqa(folder)
    assert data.timeline("s01e01").duration_s == 135.0  # a clip of no told length lasts as long as its lines
    assert [line.text for line in data.timeline("s01e01").clips[0].subtitles] == ["Mira: Hi.", "Late."]
    told = [problem.message for problem in check_dataset(data).problems if problem.field == "lines"]
    assert [part.partition(": ")[2].split(";")[0] for part in told] == [
        "1 lines have no times or no text", "1 lines begin after it ends (60.0 s) and are moved to its end",
    ]  # fmt: skip


def test_without_durations_a_clip_is_a_minute(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    (folder / "clip_durations.json").write_text(json.dumps({CLIPS[0]: "NaN", CLIPS[1]: -3}))
    data = read_longtvqa(folder)
    assert data.timeline("s01e01").duration_s == 180.0
    assert {problem.field for problem in data.problems} == {CLIPS[0], CLIPS[1]}


@pytest.mark.parametrize(
    ("name", "episode"),
    [
        ("s01e02_seg02_clip_12", "s01e02"),
        ("friends_s06e12_seg02_clip_16", "friends_s06e12"),
        ("friends_s06e24-25_seg02_clip_40", "friends_s06e24-25"),
        ("../s01e02_seg02_clip_12", None),
        ("s01e02_seg02_clip_12/..", None),
        ("s01e02_seg02_clip_12\n", None),
        ("", None),
        (7, None),
    ],
)
def test_names_of_clips(name: object, episode: str | None) -> None:
    clip = ClipName.parse(name)
    assert (clip.episode_name if clip else None) == episode


SAID = st.lists(
    st.tuples(
        st.sampled_from(["Mira", "Dr. Lund", "Man on TV", "Otto"]),
        st.from_regex(r"[a-z]{1,8}( [a-z]{1,8}){0,5}\.", fullmatch=True),
    ),
    max_size=12,
)


@given(SAID, st.floats(1, 200))
def test_every_line_of_a_transcript_is_found_again(said: list[tuple[str, str]], duration_s: float) -> None:
    lines = split_transcript(" ".join(f"{name} : {words}" for name, words in said), duration_s)
    assert [line.text for line in lines] == [f"{name}: {words}" for name, words in said]
    assert all(line.end_s == following.start_s for line, following in pairwise(lines))
    assert not lines or (lines[0].start_s, round(lines[-1].end_s, 6)) == (0.0, round(duration_s, 6))


def test_a_long_text_without_a_speaker_takes_no_time() -> None:
    (line,) = split_transcript("We " * 100_000, 60.0)  # minutes, were names of any length looked for
    assert line.end_s == 60.0


@given(st.text(max_size=200), st.floats(1, 200))
def test_any_transcript_is_laid_over_its_clip(text: str, duration_s: float) -> None:
    lines = split_transcript(text, duration_s)
    assert all(0 <= line.start_s <= line.end_s <= duration_s + 1e-6 for line in lines)
    assert "".join("".join(line.text.split()) for line in lines).replace(":", "") == "".join(text.split()).replace(
        ":", ""
    )


def test_frames_of_clips_are_an_episodes_pictures(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    write_frames(folder / "frames")
    episode = read_longtvqa(folder).open_video("s01e01")
    shades = [int(frame.rgb().mean()) for frame in episode.video.frames([0.5, 59.0, 61.0, 174.0])]
    assert all(abs(shade - told) < 3 for shade, told in zip(shades, (40, 40, 90, 140), strict=True))
    assert [round(frame.time_s, 2) for frame in episode.video.frames([0.5, 61.0])] == [0.33, 61.0]


def test_an_empty_folder_of_frames_switches_no_film_off(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    (folder / "videos").mkdir()
    write_frames(tmp_path / "frames")
    encode_frames(FrameFolderReader(tmp_path / "frames" / CLIPS[0]), folder / "videos" / "s01e01.mp4")
    (folder / "frames" / CLIPS[0]).mkdir(parents=True)
    assert read_longtvqa(folder).episode_video("s01e01") == folder / "videos" / "s01e01.mp4"
    shutil.copy(tmp_path / "frames" / CLIPS[0] / "00001.jpg", folder / "frames" / CLIPS[0])
    assert read_longtvqa(folder).episode_video("s01e01") is None


def test_each_of_two_sets_in_a_folder_has_its_own_texts(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    (folder / "LongTVQA_train.jsonl").write_text(json.dumps(question(bbox=None)))
    assert read_longtvqa(folder, "train").texts == TEXTS  # where it has none
    (folder / "LongTVQA_subtitle_clip_level.jsonl").write_text(HERE)
    assert read_longtvqa(folder, "train").texts == {CLIPS[1]: "Otto : Here."}
    assert read_longtvqa(folder, "val").texts == TEXTS


def test_without_frames_the_loop_still_answers(tmp_path: Path) -> None:
    data = read_longtvqa(write_release(tmp_path / "d"))
    for agents in Agents:
        trace = answer(data.samples[0].question, data.open_video("s01e01"), load_team(), RolloutSettings(agents=agents))
        assert trace.outcome is Outcome.ANSWERED


def test_a_check_counts_and_tells_of_frames(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d", [question(1), question(2, occur_clip=CLIPS[3], bbox={"1": [{"img_id": 1}]})])
    write_frames(folder / "frames")
    assert check_dataset(read_longtvqa(folder)).counts["clips without frames"] == 0
    assert "the last 144 are missing; they end at 2.0 s of 50.0 s" in str(check_dataset(read_longtvqa(folder)).problems)
    (folder / "frames" / CLIPS[0] / "00003.jpg").unlink()
    (folder / "frames" / CLIPS[1] / "cover.jpg").write_bytes(b"\xff\xd8 cut")
    (folder / "frames" / CLIPS[1] / "00002.jpg").write_bytes(b"\xff\xd8 cut")
    (folder / "frames" / CLIPS[2] / "00001.jpg").write_bytes(b"")
    (folder / "frames" / CLIPS[2] / "00002.jpg").unlink()
    os.mkfifo(folder / "frames" / CLIPS[2] / "00002.jpg")  # reading it would never end
    for file in (folder / "frames" / CLIPS[3]).iterdir():
        file.unlink()
    findings = check_dataset(read_longtvqa(folder))
    told = [str(problem) for problem in findings.problems]
    for part in (
        "1 frames are missing (00003.jpg first)",
        "1 frames are missing (00002.jpg first)",
        "1 frames have no number",
        "not a complete JPEG",
        "no folder of numbered frames",
        "bbox",
    ):
        assert any(part in line for line in told), part
    assert (findings.counts["questions"], findings.counts["episodes"], findings.counts["clips"]) == (2, 2, 4)
    assert findings.counts["unreadable frames"] == 2
    assert findings.counts["clips without frames"] == 1


def test_a_check_tells_of_films_that_are_cut(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d", [question(1)])
    (folder / "videos").mkdir()
    film = folder / "videos" / "s01e01.mp4"
    write_frames(tmp_path / "frames")
    encode_frames(FrameFolderReader(tmp_path / "frames" / CLIPS[0]), film)
    (problem,) = check_dataset(read_longtvqa(folder)).problems
    assert (problem.path, "of 175.5 s; is it cut short?" in problem.message) == (film, True)
    film.write_bytes(film.read_bytes()[:300])
    (problem,) = check_dataset(read_longtvqa(folder)).problems
    assert (problem.path, problem.field) == (film, "video")


@pytest.mark.shared
def test_the_real_half_of_the_validation_set_is_read_whole() -> None:
    data = read_longtvqa(REAL)
    findings = check_dataset(data)
    assert [(problem.record, problem.field) for problem in findings.problems] == [(1276, "options")]
    assert [findings.counts[name] for name in ("questions", "episodes", "clips")] == [1575, 94, 1798]
    assert findings.counts["questions with an ambiguous answer"] == 1
    for video in data.videos:
        timeline = data.timeline(video)
        assert all(clip.subtitles for clip in timeline.clips)
    for sample in data.samples:
        clip = data.timeline(sample.video).find(sample.gold.clip or "")
        assert clip is not None
        assert clip.start_s <= (sample.gold.start_s or 0)


def test_boxes_of_frames_after_the_clip_are_told(tmp_path: Path) -> None:
    box = question()["bbox"]["7"][0]
    far, edge = ({"1": [box | {"img_id": number}]} for number in (99999, 152))
    data = read_longtvqa(write_release(tmp_path / "d", [question(1, bbox=far), question(2, bbox=edge)]))
    (problem,) = check_dataset(data).problems
    assert (problem.record, problem.field) == (1, "bbox")
    assert "of a frame after its clip" in problem.message
    assert [len(data.boxes(sample) or ()) for sample in data.samples] == [0, 1]


@pytest.mark.parametrize("boxes", [{"1": [question()["bbox"]["7"][0] | {"width": 0}]}, {"1": 5}, {"1": None}, "x", [1]])
def test_boxes_of_another_form_are_told(boxes: object, tmp_path: Path) -> None:
    findings = check_dataset(read_longtvqa(write_release(tmp_path / "d", [question(1, bbox=boxes)])))
    assert [problem.field for problem in findings.problems if problem.field == "bbox"] == ["bbox"]


def test_a_set_without_questions_or_frames_is_no_whole_one(tmp_path: Path) -> None:
    findings = check_dataset(read_longtvqa(write_release(tmp_path / "d", [])))
    assert "has no question" in str(findings.problems[0])
    assert check_dataset(read_longtvqa(write_release(tmp_path / "e"))).counts["clips without frames"] == 3
