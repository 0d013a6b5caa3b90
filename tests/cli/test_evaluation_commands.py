"""The evaluation commands, from data to report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.fakes.faulty_server import serving
from tests.fakes.release import question, write_release
from tests.plugins.cli import lva, refusal
from tests.plugins.environment import SHARED
from tests.plugins.runs import eval_config, reply_as_any_model, run


def test_commands_from_data_to_report(release: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    done = lva("eval", release, "--run", path, "--agents", "grounding")
    assert "% correct of 12 questions" in done.stdout
    assert "first clip agent · gold boxes not given" in done.stdout
    assert "from the cache" not in done.stdout
    assert lva("compare", path, path).stdout.count("0 lost") == 1
    assert lva("report", path).returncode == 0
    assert "a1" in lva("replay", path, "3").stdout
    done = lva("ablate", "agents", release, "--run", tmp_path / "grid", "--value", "none", "--value", "grounding")
    assert done.returncode == 0
    assert json.loads((tmp_path / "grid" / "ablation.json").read_text())["rows"].keys() == {"none", "grounding"}
    assert "<svg" in (tmp_path / "grid" / "ablation.html").read_text()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("eval nowhere", "not a folder"),
        ("eval DATA --split test", "there are val"),
        (
            "eval DATA --ids nowhere.txt",
            "error: nowhere.txt: cannot be read as question ids (No such file or directory);",
        ),
        ("eval DATA --layout no.toml", "error: no.toml: cannot be read as a layout (No such file or directory); check"),
        ("ablate rounds DATA --ids nowhere.txt", "cannot be read as question ids"),
        ("eval DATA --prices nowhere.toml", "cannot be read as prices"),
        ("eval DATA --max-run-usd 0", "must be more than 0"),
        ("eval DATA --run DATA/LongTVQA_plus_val.json", "is a file"),
        ("eval DATA --max-run-usd nan", "must be more than 0"),
        ("eval DATA --retry-failed", "does not hold a run"),
        ("eval DATA --baseline subtitles --agents grounding", "leave out --agents"),
        ("eval DATA --max-run-usd 1 --master openai:gpt@http://host:9/v1", "no price is known for gpt"),
        ("ablate agents DATA --protocol ours --switch merged_boxes=true --leak-free", "gold boxes of all questions"),
        ("ablate agents DATA --protocol theirs", "--protocol theirs: unknown"),
        ("ablate colour DATA", "give rounds, window, agents, vision"),
        ("ablate vision DATA", "--value openai:NAME"),
        ("ablate rounds DATA --value few", "not a valid value"),
        ("ablate agents DATA --agents none", "leave out --agents"),
        ("ablate vision DATA --agents grounding --value offline", "leave out --agents"),
        ("ablate window DATA --agents none", "leave out --agents"),
        ("compare DATA DATA", "not a run"),
        ("report DATA", "not a run"),
        ("replay DATA 1", "not a run"),
    ],
)
def test_command_refused_in_one_line(line: str, message: str, release: Path, tmp_path: Path) -> None:
    words = [word.replace("DATA", str(release)) for word in line.split()]
    assert message in refusal(*words, cwd=tmp_path)


def test_retry_failed_takes_no_value(release: Path) -> None:
    done = lva("eval", release, "--retry", "all")
    assert (done.returncode, "No such option" in done.stderr) == (2, True)


@pytest.mark.slow
@pytest.mark.shared
def test_real_set_beats_the_longest_option(tmp_path: Path) -> None:
    data = SHARED / "data" / "longtvqa_plus"
    summary = run(eval_config(data), tmp_path / "run")
    assert summary["num_finished"] == 1575
    assert summary["accuracy"]["mean"] > 0.49


@pytest.mark.parametrize("command", [("eval",), ("ablate", "window", "--value", "1", "--value", "2")])
def test_dry_run_warns_as_a_run_does(command: tuple[str, ...], tmp_path: Path) -> None:
    release = write_release(tmp_path / "data", [question(1), question(2, ts=[1000.0, 1001.0])])
    name, *options = command
    arguments = [*options[:1], release, *options[1:]] if options else [release]
    done = lva(name, *arguments, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("has no frames of the videos asked about, so vision sees nothing") == 1
    assert done.stderr.count(f"the data set has 1 problem; lva data check {release} lists every problem") == 1


@pytest.mark.parametrize("command", ["eval DATA", "ablate agents DATA --value grounding"])
def test_dry_run_checks_the_folder_as_a_run_does(command: str, release: Path, tmp_path: Path) -> None:
    words = [*command.replace("DATA", str(release)).split(), "--max-rounds"]
    assert lva(*words, "2", cwd=tmp_path).returncode == 0
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert lva(*words, "2", "--dry-run", cwd=tmp_path).returncode == 0
    problem = refusal(*words, "3", "--dry-run", cwd=tmp_path)
    assert "holds a run with other settings (settings.max_rounds: 2 -> 3); choose another --run" in problem
    assert problem == refusal(*words, "3", cwd=tmp_path)
    assert files == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_dry_run_starts_no_run(release: Path, tmp_path: Path) -> None:
    assert lva("eval", release, "--dry-run", cwd=tmp_path).returncode == 0
    assert not (tmp_path / "runs").exists()


def test_summary_says_that_replies_are_cached(release: Path, tmp_path: Path) -> None:
    with serving(reply_as_any_model) as (url, server):
        words = ["eval", str(release), "--master", f"openai:master@{url}", "--agents", "none", "--run"]
        first, second = (lva(*words, tmp_path / name) for name in ("first", "second"))
        num_calls = len(server.requests)
        third = lva(*words, tmp_path / "third", "--no-cache")
    assert num_calls > 0
    assert len(server.requests) == 2 * num_calls
    for done in (first, third):
        assert "from the cache" not in done.stdout
        assert f"master: {num_calls} calls, " in done.stdout
    assert f"master: {num_calls} replies from the cache, without a call; --no-cache asks again" in second.stdout


def test_summary_shows_small_costs(release: Path, tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text("[master]\nprompt_usd_per_mtok = 100\ncompletion_usd_per_mtok = 100\n")
    with serving(reply_as_any_model) as (url, _):
        model = ["--master", f"openai:master@{url}", "--agents", "none"]
        done = lva("eval", release, *model, "--limit", "1", "--prices", prices, "--run", tmp_path / "run")
    (cost,) = re.findall(r"^master: .*, \$([\d.]+),", done.stdout, re.MULTILINE)
    assert 0 < float(cost) < 0.005
