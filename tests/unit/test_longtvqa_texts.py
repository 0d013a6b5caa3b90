"""The subtitle files of LongTVQA: forms, transcripts without times, and their problems."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent import answer, load_team
from longvideoagent.datasets.longtvqa.read import read_longtvqa
from longvideoagent.datasets.longtvqa.transcript import split_transcript
from longvideoagent.datasets.registry import open_dataset
from longvideoagent.views.trace_dict import trace_from_dict, trace_to_dict
from tests.fakes.release import CLIPS, TEXTS, question, write_release

HERE = json.dumps({"clip": CLIPS[1], "subtitle": "Otto : Here."})


@pytest.mark.parametrize("shape", ["object", "lines", "single keys", "list", "episode"])
def test_subtitle_file_forms(shape: str, tmp_path: Path) -> None:
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
        by_episode = {
            episode: "\n".join(f"<{clip}>{TEXTS[clip]}</{clip}>" for clip in CLIPS if clip.startswith(episode))
            for episode in ("s01e01", "s01e02")
        }
        (folder / "LongTVQA_plus_subtitle_episode_level.json").write_text(json.dumps(by_episode))
    data = read_longtvqa(folder)
    assert data.problems == ()
    assert [line.text for line in data.timeline("s01e01").subtitles][
        -1
    ] == "Mira: We are late because the bus broke down."


@pytest.mark.parametrize(
    ("name", "text", "messages"),
    [
        ("clip_level.json", json.dumps({CLIPS[1]: "Otto : Here."}), []),
        ("clip_level.jsonl", f"{HERE}\n{HERE}", [f": 1 texts are of duplicate clips ({CLIPS[1]}); the first of"]),
        ("clip_level.jsonl", "\n".join([HERE] * 6), [f": 5 texts are of duplicate clips ({CLIPS[1]}); the first of"]),
        ("clip_level.json", json.dumps({CLIPS[1]: "Otto : Here.", "../x": "No"}), ["../x: is not the name of a clip"]),
        ("clip_level.jsonl", '{"clip": "s01\n' + HERE, ["not JSON"]),
        ("episode_level.json", json.dumps({"s01e01": f"<{CLIPS[1]}>Otto : Here.</{CLIPS[1]}>", "s01e02": "No mark"}),
         ["no clip is tagged"]),
        ("episode_level.json", json.dumps({"s01e01": f"Recap: <i>old <{CLIPS[1]}>Otto : Here.</{CLIPS[1]}>"}),
         ["s01e01: 2 words are outside of <clip>…</clip>, 'Recap:' first"]),
        ("episode_level.json", json.dumps({"s01e02": f"<{CLIPS[1]}>Otto : Here.</{CLIPS[1]}>"}),
         [f"s01e02: 1 tagged clips are of other episodes ({CLIPS[1]}); they get its text"]),
        ("episode_level.json", json.dumps({"s01e01": f"<{CLIPS[0]}>Lost. <{CLIPS[1]}>Otto : Here.</{CLIPS[1]}>"}),
         [f"s01e01: 1 words are outside of <clip>…</clip>, '<{CLIPS[0]}>Lost.' first"]),
    ],
)  # fmt: skip
def test_subtitle_file_problems(name: str, text: str, messages: list[str], tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    (folder / "LongTVQA_plus_subtitle_clip_level.json").unlink()
    (folder / f"LongTVQA_plus_subtitle_{name}").write_text(text)
    data = read_longtvqa(folder)
    assert [line.text for line in data.timeline("s01e01").subtitles] == ["Otto: Here."]
    assert len(data.problems) == len(messages)
    assert all(message in str(problem) for message, problem in zip(messages, data.problems, strict=True))


def test_subtitle_file_many_duplicates(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    rows = [json.dumps({clip: text}) for clip, text in TEXTS.items()] * 3
    (folder / "LongTVQA_plus_subtitle_clip_level.json").write_text("\n".join(rows))
    (problem,) = read_longtvqa(folder).problems
    names = ", ".join(list(TEXTS)[:3])
    assert problem.message == f"{2 * len(TEXTS)} texts are of duplicate clips ({names}, …); the first of each is used"


def test_subtitle_files_of_one_set(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    plural = folder / "LongTVQA_plus_subtitles_clip_level.jsonl"
    plural.write_text(HERE)
    for name in (f"._{plural.name}", f"{plural.name}.bak"):
        (folder / name).write_bytes(b"\xff")
    (problem,) = read_longtvqa(folder).problems
    assert problem.path == plural
    assert problem.message.startswith(
        "is not read, because LongTVQA_plus_subtitle_clip_level.json is there; delete one"
    )
    (folder / "LongTVQA_plus_subtitle_clip_level.json").unlink()
    assert read_longtvqa(folder).problems == ()


@pytest.mark.parametrize("text", ["", " \n", "[]", "{}"])
def test_subtitle_file_empty(text: str, tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    (folder / "LongTVQA_plus_subtitle_clip_level.json").write_text(text)
    (problem,) = read_longtvqa(folder).problems
    assert problem.message == "has no text of a clip; download it again"


def test_times_beyond_any_video(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d", [question(1, ts=[1e307, 1e308])])
    (folder / "clip_durations.json").write_text(json.dumps(dict.fromkeys(CLIPS, 1e308)))
    (folder / "clip_subtitles.json").write_text(
        json.dumps({clip: [[0, 1, "Here."], [2, 1e308, "x"]] for clip in CLIPS})
    )
    data = read_longtvqa(folder)
    assert data.timeline("s01e01").duration_s == 3 * 90
    assert [problem.field for problem in data.check().problems] == [*CLIPS, "ts", "lines", "lines", "lines"]


def test_episode_text_unclosed_tags_fast(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    (folder / "LongTVQA_plus_subtitle_clip_level.json").unlink()
    tags = "<i>" * 200_000 + f"<{CLIPS[0]}>" * 20_000  # minutes, were an end looked for from each
    text = f"{tags}<{CLIPS[1]}>Otto : Here.</{CLIPS[1]}>"
    (folder / "LongTVQA_plus_subtitle_episode_level.json").write_text(json.dumps({"s01e01": text}))
    assert list(read_longtvqa(folder).texts) == [CLIPS[1]]


def test_timed_lines_problems(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    lines = {CLIPS[0]: [[1, 2, "Mira: Hi."], [61, 63, "Late."], ["x", 2, "No."]], CLIPS[1]: [[100.0, 105.0, "Long."]]}
    (folder / "clip_subtitles.json").write_text(json.dumps(lines))
    (folder / "clip_durations.json").write_text(json.dumps({CLIPS[0]: 60.0}))
    data = read_longtvqa(folder)
    assert data.timeline("s01e01").duration_s == 165.0  # a clip of unknown length lasts as long as its lines
    assert [line.text for line in data.timeline("s01e01").clips[0].subtitles] == ["Mira: Hi.", "Late."]
    messages = [problem.message for problem in data.check().problems if problem.field == "lines"]
    assert [part.partition(": ")[2].split(";")[0] for part in messages] == [
        "1 line without times or text, left out", "1 line after its end (60.0 s), moved to the end",
    ]  # fmt: skip


def test_texts_surrogate_and_duplicate_key(tmp_path: Path) -> None:
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


def test_texts_many_surrogates_fast(tmp_path: Path) -> None:
    """In time that grows with the size of the file, and not with its square."""
    folder, names = write_release(tmp_path / "d"), [f"s01e{number:02}_seg01_clip_00" for number in range(1, 20_001)]
    members = ",\n".join(f'"{name}": "\\ud83d"' for name in names)
    (folder / "LongTVQA_plus_subtitle_clip_level.json").write_text(f"{{{members}}}")
    problems = [problem for problem in read_longtvqa(folder).problems if "surrogate" in problem.message]
    assert [(problem.line, problem.field) for problem in problems] == list(enumerate(names, 1))


def test_texts_of_two_sets_in_one_folder(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    (folder / "LongTVQA_train.jsonl").write_text(json.dumps(question(bbox=None)))
    assert read_longtvqa(folder, "train").texts == TEXTS  # the set has no texts of its own
    (folder / "LongTVQA_subtitle_clip_level.jsonl").write_text(HERE)
    assert read_longtvqa(folder, "train").texts == {CLIPS[1]: "Otto : Here."}
    assert read_longtvqa(folder, "val").texts == TEXTS


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("Mira : It 's  late . <eos> We go . <eos> Otto : No . <eos>",
         ["Mira: It 's late .", "Mira: We go .", "Otto: No ."]),
        ("( Music ) <eos> Mira : Hi . <eos> UNKNAME : ( Knocking ) <eos> Who is it ? <eos>",
         ["( Music )", "Mira: Hi .", "( Knocking )", "Who is it ?"]),
        ("Mira : Listen , Otto : I am late . <eos>", ["Mira: Listen , Otto : I am late ."]),
        (" <eos> <eos>", []),
        ("(Mira:)It is late.(Otto:)Is it?", ["Mira: It is late.", "Otto: Is it?"]),
        ("Rain falls.(Mira:)We go. (phone rings) Hello? (Dr. Lund:) Hi.(UNKNAME:)Who?",
         ["Rain falls.", "Mira: We go. (phone rings) Hello?", "Dr. Lund: Hi.", "Who?"]),
        ("(phone rings) (man on TV:)Good : evening. Otto : no.",
         ["(phone rings)", "man on TV: Good : evening. Otto : no."]),
        ("(Mira:)Late. <eos> So late. <eos> (Otto:)Yes. <eos>", ["Mira: Late.", "Mira: So late.", "Otto: Yes."]),
        ("Mira : Hi. Otto : Hello.", ["Mira: Hi.", "Otto: Hello."]),
    ],
)  # fmt: skip
def test_transcript_forms(text: str, lines: list[str]) -> None:
    subtitles = split_transcript(text, 60.0)
    assert [line.text for line in subtitles] == lines
    assert all(line.end_s == following.start_s for line, following in pairwise(subtitles))
    assert not subtitles or (subtitles[0].start_s, round(subtitles[-1].end_s, 6)) == (0.0, 60.0)


@pytest.mark.parametrize(
    "text", ["(" * 100_000, "(a" * 50_000, "( " * 50_000, "<eos>" * 50_000, "A " * 50_000 + "<eos>"]
)
def test_transcript_hostile_fast(text: str) -> None:
    assert all(0 <= line.start_s <= line.end_s <= 60.001 for line in split_transcript(text, 60.0))


RELEASED = ("(Mira:)The bakery is closed.", "(Otto:)Here. (phone rings)")


@pytest.mark.parametrize("is_closed", [False, True])
@pytest.mark.parametrize("has_episode", [False, True])
def test_episode_text_of_releases(is_closed: bool, has_episode: bool, tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d", [question(1, occur_clip="castle_s01e02_seg01_clip_01", episode_name=None)])
    (folder / "LongTVQA_plus_subtitle_clip_level.json").unlink()
    (folder / "clip_durations.json").unlink()
    names = [f"{'castle_s01e02_' * has_episode}seg01_clip_0{number}" for number in range(2)]
    parts = [f"<{name}>{text}{f'</{name}>' if is_closed else ' '}" for name, text in zip(names, RELEASED, strict=True)]
    by_episode = {"castle_s01e02": "".join(parts), "castle_s01e03": "no tag"}
    (folder / "LongTVQA_plus_subtitles_episode_level.jsonl").write_text(json.dumps(by_episode, indent=2))
    data = read_longtvqa(folder)
    assert [str(problem.message) for problem in data.problems] == [
        "no clip is tagged as <clip>…</clip>; its text is left out"
    ]
    clips = data.timeline("castle_s01e02").clips
    assert [clip.raw_text.rstrip() for clip in clips] == list(RELEASED)
    assert [line.text for line in clips[1].subtitles] == ["Otto: Here. (phone rings)"]


def test_plural_names_and_json_values_in_jsonl(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "LongTVQA_val.jsonl").write_text(json.dumps([question(1, show_name="Castle", bbox=None)], indent=2))
    (folder / "LongTVQA_subtitles_clip_level.jsonl").write_text(json.dumps(TEXTS, indent=2))
    (folder / "LongTVQA_subtitles_episode_level.jsonl").write_text("{}")
    data = open_dataset(folder)
    assert (data.name, len(data.samples), data.check().problems) == ("LongTVQA", 1, ())
    assert any(path.name == "LongTVQA_subtitles_clip_level.jsonl" for path in data.subtitle_files())


@pytest.mark.parametrize("has_times", [False, True])
def test_raw_text(has_times: bool, tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    raw = {**TEXTS, CLIPS[0]: " Mira :  The bakery\tis closed . \u00e9 <eos> "}
    (folder / "LongTVQA_plus_subtitle_clip_level.json").write_text(json.dumps(raw))
    if has_times:
        (folder / "clip_subtitles.json").write_text(json.dumps({clip: [[1, 2, "Mira: Hi."]] for clip in CLIPS}))
    data = read_longtvqa(folder)
    timeline = data.open_video("s01e01").timeline
    assert [clip.raw_text for clip in timeline.clips] == [raw[clip] for clip in CLIPS[:3]]
    assert timeline.clips[0].raw_text is data.raw_texts[CLIPS[0]]  # not a copy
    assert timeline.clips[0].subsample(0.5).raw_text == raw[CLIPS[0]]
    assert timeline.as_single_clip().raw_text == "\n".join(raw[clip] for clip in CLIPS[:3])


def test_raw_text_not_in_trace(tmp_path: Path) -> None:
    data = read_longtvqa(write_release(tmp_path / "d"))
    trace = answer(data.samples[0].question, data.open_video("s01e01"), load_team())
    record = trace_to_dict(trace)
    assert trace.current_observation is not None
    assert trace.current_observation.clip.raw_text
    assert "raw_text" not in json.dumps(record)
    assert trace_from_dict(record) == trace


TRANSCRIPT = st.lists(
    st.tuples(
        st.sampled_from(["Mira", "Dr. Lund", "Man on TV", "Otto"]),
        st.from_regex(r"[a-z]{1,8}( [a-z]{1,8}){0,5}\.", fullmatch=True),
    ),
    max_size=12,
)


@given(TRANSCRIPT, st.floats(1, 200))
def test_transcript_lines_complete(transcript: list[tuple[str, str]], duration_s: float) -> None:
    lines = split_transcript(" ".join(f"{name} : {words}" for name, words in transcript), duration_s)
    assert [line.text for line in lines] == [f"{name}: {words}" for name, words in transcript]
    assert all(line.end_s == following.start_s for line, following in pairwise(lines))
    assert not lines or (lines[0].start_s, round(lines[-1].end_s, 6)) == (0.0, round(duration_s, 6))


def test_transcript_without_speaker_fast() -> None:
    (line,) = split_transcript("We " * 100_000, 60.0)  # minutes, were names of any length looked for
    assert line.end_s == 60.0


@given(st.text(max_size=200), st.floats(1, 200))
def test_transcript_times_within_clip(text: str, duration_s: float) -> None:
    lines = split_transcript(text, duration_s)
    assert all(0 <= line.start_s <= line.end_s <= duration_s + 1e-6 for line in lines)
    kept = "".join(line.text for line in lines)
    assert re.sub(r"[\s:()]", "", kept) == re.sub(r"[\s:()]", "", text)
