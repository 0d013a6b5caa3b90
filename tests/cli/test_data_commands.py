"""The commands of ``lva data``."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from longvideoagent.datasets.sampling import read_ids
from longvideoagent.evaluation.replay import open_recorded_video
from tests.fakes.annotations import egoschema
from tests.fakes.faulty_server import say, serving
from tests.fakes.release import question, some_questions, write_release
from tests.plugins.cli import LVA, Completed, lva, refusal


def data_command(*arguments: str | Path) -> Completed:
    return lva("data", *arguments)


def test_data_check_ground_export_sample(synthetic_dataset: Path, tmp_path: Path) -> None:
    for arguments, text in (
        (("check", synthetic_dataset), "questions"),
        (("ground", synthetic_dataset, "--out", tmp_path / "g.json"), "grounded   24"),
        (("export", synthetic_dataset, "--first-clips", tmp_path / "g.json", "--out", tmp_path / "rl"), "train"),
        (
            ("sample", synthetic_dataset, "--out", tmp_path / "part", "--count", "1", "--group-by", "kind"),
            "questions  4",
        ),
    ):
        result = data_command(*arguments)
        assert result.returncode == 0, result.stderr
        assert text in result.stdout
    assert (tmp_path / "rl" / "train.parquet").exists()


def test_data_check_status(tmp_path: Path) -> None:
    result = data_command("check", write_release(tmp_path / "d", [question(1), question(2, answer="a9")]))
    assert result.returncode == 2
    assert "LongTVQA_plus_val.json:3: record 2: answer:" in result.stderr
    assert re.search(r"answers out of range +1\n", result.stdout)


def test_data_set_and_subtitles_options(tmp_path: Path) -> None:
    folder, file = write_release(tmp_path / "d"), tmp_path / "mine.json"
    (folder / "LongTVQA_plus_subtitle_clip_level.json").rename(file)
    (folder / "LongTVQA_val.jsonl").write_text(json.dumps([question(5)]))
    options = ("--split", "val", "--data-set", "longtvqa", "--subtitles", file)
    for arguments in (
        ("data", "check", folder),
        ("data", "ground", folder, "--out", tmp_path / "c.json"),
        ("data", "export", folder, "--first-clips", tmp_path / "c.json", "--out", tmp_path / "rl"),
        ("data", "sample", folder, "--out", tmp_path / "part"),
        ("eval", folder, "--limit", "1", "--run", tmp_path / "run"),
    ):
        result = lva(*arguments, *options)
        assert result.returncode == 0, result.stderr
    assert (tmp_path / "part" / "LongTVQA_val.jsonl").exists()


def test_encoding_option(tmp_path: Path, short_video: Path) -> None:
    folder = tmp_path / "set"
    (folder / "videos").mkdir(parents=True)
    egoschema(folder)
    (folder / "videos" / "talk.mp4").write_bytes(short_video.read_bytes())
    (folder / "videos" / "talk.srt").write_bytes("1\n00:00:01,000 --> 00:00:02,000\nЋлутэ: red\n".encode("cp1251"))
    options = ("--split", "subset", "--encoding", "cp1250")
    for arguments in (
        ("data", "check", folder),
        ("data", "ground", folder, "--out", tmp_path / "c.json"),
        (
            "data",
            "export",
            folder,
            "--first-clips",
            tmp_path / "c.json",
            "--out",
            tmp_path / "rl",
            "--val-fraction",
            "0",
        ),
        ("eval", folder, "--run", tmp_path / "run"),
    ):
        result = lva(*arguments, *options)
        assert result.returncode == 0, result.stderr
    assert json.loads((tmp_path / "run" / "config.json").read_text())["encoding"] == "cp1250"
    assert open_recorded_video(tmp_path / "run", "talk").timeline.subtitles[0].text.startswith("Žëóňý")
    assert 'encoding: "cp1250" -> null' in refusal("eval", folder, "--run", tmp_path / "run", "--split", "subset")
    assert "encoding 'cp12'" in refusal("data", "check", folder, "--split", "subset", "--encoding", "cp12")
    release = write_release(tmp_path / "d")
    assert "only for subtitle files of videos" in refusal("data", "check", release, "--encoding", "cp1250")


def test_data_ground_export_egoschema(tmp_path: Path, short_video: Path) -> None:
    data, clips, rows = tmp_path / "data", tmp_path / "c.json", tmp_path / "rl"
    (data / "videos").mkdir(parents=True)
    (data / "subtitles").mkdir()
    options = {f"option {index}": text for index, text in enumerate(("red", "green", "blue", "grey", "pink"))}
    records = [{"q_uid": video, "question": "What is blue?", **options} for video in ("lost", "talk")]
    (data / "questions.json").write_text(json.dumps(records))
    (data / "subset_answers.json").write_text(json.dumps({"lost": 2, "talk": 2}))
    shutil.copy(short_video, data / "videos" / "talk.mp4")
    for name in ("lost", "talk"):
        (data / "subtitles" / f"{name}.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nIt is blue.\n")
    result = data_command("ground", data, "--split", "subset", "--out", clips)
    assert (result.returncode, result.stderr.count("\n")) == (1, 2)
    assert "1 failed: " in result.stderr
    assert "no video 'lost'" in result.stderr
    assert re.search(r"grounded +1\n", result.stdout)
    result = data_command("export", data, "--split", "subset", "--first-clips", clips, "--out", rows, "--skip-missing")
    assert (result.returncode, result.stdout.split()[-1]) == (0, "1")
    shutil.copy(short_video, data / "videos" / "lost.mp4")
    assert data_command("ground", data, "--split", "subset", "--out", clips).returncode == 0
    assert data_command("export", data, "--split", "subset", "--first-clips", clips, "--out", rows).returncode == 0
    tables = [pq.read_table(rows / f"{split}.parquet").to_pylist() for split in ("train", "val")]
    assert sorted(row["extra_info"]["qid"] for table in tables for row in table) == ["lost", "talk"]


def test_data_sample_ids(synthetic_dataset: Path, tmp_path: Path) -> None:
    arguments = ("sample", synthetic_dataset, "--count", "3", "--group-by", "kind", "--proportional")
    for name in ("first.txt", "second.txt"):
        done = data_command(*arguments, "--out", tmp_path / name)
        assert (done.returncode, re.findall(r"\d+", done.stdout)) == (0, ["3", str(12)]), done.stderr
    text = (tmp_path / "first.txt").read_text()
    assert text == (tmp_path / "second.txt").read_text()
    assert re.match(r"# 3 of \d+: synthetic val, seed 0, by kind, in proportion\n", text)
    done = data_command(*arguments, "--count", "13", "--out", tmp_path / "third.txt")
    assert (done.returncode, done.stderr) == (
        0,
        "lva: --count 13: there are only 12 questions; all of them are drawn\n",
    )
    done = data_command(*arguments, "--out", tmp_path / "first.txt")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_data_ground_ids(synthetic_dataset: Path, tmp_path: Path) -> None:
    ids, clips = tmp_path / "ids.txt", tmp_path / "c.json"
    assert data_command("sample", synthetic_dataset, "--count", "3", "--out", ids).returncode == 0
    ground = ("ground", synthetic_dataset, "--ids", ids, "--out", clips)
    done = data_command(*ground)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"{ids}: no usable question of split 'train' has the id " in done.stderr
    done = data_command(*ground, "--split", "val")
    assert (done.returncode, done.stdout.split()[:4]) == (0, ["questions", "3", "grounded", "3"]), done.stderr
    assert {key.split()[0] for key in json.loads(clips.read_text())["clips"]} == set(read_ids(ids))


@pytest.mark.parametrize(
    "line",
    [
        "check nowhere",
        "download nothing --out x",
        "download frames --out x",
        "download longtvqa --repository x --out y",
        "sample nowhere --out x --group-by colour",
        "synth x --episodes 0",
        "build --questions x_val.json --subtitles y --out z",
    ],
)
def test_data_invalid_arguments(line: str, tmp_path: Path) -> None:
    done = lva("data", *line.split(), cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr


def test_data_ground_another_model(tmp_path: Path) -> None:
    data = write_release(tmp_path / "d")
    assert data_command("ground", data, "--split", "val", "--out", tmp_path / "c.json").returncode == 0
    other = data_command(
        "ground", data, "--split", "val", "--out", tmp_path / "c.json", "--grounding", "openai:m@http://127.0.0.1:9"
    )
    assert other.returncode == 2
    assert "filled by offline" in other.stderr


def test_data_problems_noted(tmp_path: Path) -> None:
    data = write_release(tmp_path / "d", [question(1), question(2, q="")])
    stderr = data_command("ground", data, "--split", "val", "--out", tmp_path / "c.json").stderr
    stderr += data_command("sample", data, "--out", tmp_path / "s").stderr
    assert stderr.count("1 problem in the data set") == 2


def test_data_no_question(tmp_path: Path) -> None:
    (tmp_path / "val.csv").write_text("video,question,answer,qid,type,a0,a1,a2,a3,a4\n")
    result = data_command("check", tmp_path)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "val.csv: has no question of this split" in result.stderr
    result = data_command("ground", tmp_path, "--split", "val", "--out", tmp_path / "c.json")
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "no usable question" in result.stderr


def test_data_synth_interrupted(tmp_path: Path) -> None:
    command: list[str | Path] = [LVA, "data", "synth", tmp_path / "out", "--minutes", "5", "--episodes", "40"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not list(tmp_path.glob("out/*/*")):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.read() == "lva: stopped\n"
    assert process.returncode == 130
    assert not list(tmp_path.glob("out/LongTVQA*"))


def test_data_check_without_frames(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    result = data_command("check", folder)
    assert result.returncode == 0, result.stderr
    assert re.search(r"clips without frames +3\n", result.stdout)
    (folder / "frames").mkdir()
    result = data_command("check", folder)
    assert result.returncode == 2
    assert "no frames of the 3 clips of bbt" in result.stderr


def test_data_ground_dry_run(tmp_path: Path) -> None:
    data = write_release(tmp_path / "data", some_questions(6))
    (tmp_path / "prices.toml").write_text("[m]\nprompt_usd_per_mtok = 1.0\ncompletion_usd_per_mtok = 2.0\n")
    with serving(say("<clip>s01e01_seg01_clip_00</clip>")) as (url, server):
        options = f"--split val --grounding openai:m@{url} --out {tmp_path / 'clips.json'}"
        ground = ["ground", str(data), *options.split()]
        forecast = data_command(*ground, "--dry-run", "--prices", tmp_path / "prices.toml")
        assert forecast.returncode == 0, forecast.stderr
        assert (server.requests, (tmp_path / "clips.json").exists()) == ([], False)
        data_command(*ground)
        num_calls = len(server.requests)
        again = data_command(*ground, "--dry-run")
    assert re.search(r"questions +6\npending +6\n", forecast.stdout)
    assert "Nothing was asked." in forecast.stdout
    calls, _, prompt, reply, usd = re.search(r"\n ?grounding .*", forecast.stdout)[0].split()[-5:]  # type: ignore[index]
    assert 0 < num_calls <= int(calls) == 12
    tokens = [int(count.replace(",", "")) for count in (prompt, reply)]
    assert tokens[0] > 0
    assert float(usd) == pytest.approx((tokens[0] + 2 * tokens[1]) / 1e6, abs=1e-4)
    assert re.search(r"pending +0\n(?:.*\n)grounding .* 0 +0 +0 +0 +0\.0000 *\n", again.stdout)
