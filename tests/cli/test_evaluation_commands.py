"""The commands around evaluations, from data to report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.plugins.cli import lva, refusal
from tests.plugins.environment import SHARED
from tests.plugins.runs import asked, run


def test_the_commands_go_from_data_to_report(release: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    told = lva("eval", release, "--run", path, "--agents", "grounding")
    assert "% right of 12 questions" in told.stdout
    assert "first clip ground · boxes not told" in told.stdout
    assert lva("compare", path, path).stdout.count("0 lost") == 1
    assert lva("report", path).returncode == 0
    assert "a1" in lva("replay", path, "3").stdout
    told = lva("ablate", "agents", release, "--run", tmp_path / "grid", "--value", "none", "--value", "grounding")
    assert told.returncode == 0
    assert json.loads((tmp_path / "grid" / "ablation.json").read_text())["rows"].keys() == {"none", "grounding"}
    assert "<svg" in (tmp_path / "grid" / "ablation.html").read_text()


@pytest.mark.parametrize(
    ("line", "mend"),
    [
        ("eval nowhere", "no folder"),
        ("eval DATA --split test", "there are val"),
        ("eval DATA --max-usd 0", "give more than 0"),
        ("eval DATA --run DATA/LongTVQA_plus_val.json", "is a file"),
        ("eval DATA --max-usd nan", "give more than 0"),
        ("eval DATA --retry all", "give --retry failed"),
        ("eval DATA --retry failed", "holds no run"),
        ("eval DATA --baseline subtitles --agents grounding", "leave out --agents"),
        ("eval DATA --max-usd 1 --master openai:gpt@http://127.0.0.1:9/v1", "no price is known for gpt"),
        ("ablate colour DATA", "give rounds, window, agents, vision"),
        ("ablate vision DATA", "--value openai:NAME"),
        ("ablate rounds DATA --value few", "no such value"),
        ("ablate agents DATA --agents none", "leave out --agents"),
        ("ablate vision DATA --agents grounding --value offline", "leave out --agents"),
        ("ablate window DATA --agents none", "leave out --agents"),
        ("compare DATA DATA", "holds no run"),
        ("report DATA", "holds no run"),
        ("replay DATA 1", "holds no run"),
    ],
)
def test_impossible_commands_are_refused_in_one_line(line: str, mend: str, release: Path, tmp_path: Path) -> None:
    words = [word.replace("DATA", str(release)) for word in line.split()]
    assert mend in refusal(*words, cwd=tmp_path)


@pytest.mark.shared
def test_a_real_set_is_answered_better_than_by_its_longest_options(tmp_path: Path) -> None:
    data = SHARED / "data" / "longtvqa_plus"
    summary = run(asked(data), tmp_path / "run")
    assert summary["finished"] == 1575
    assert summary["accuracy"]["mean"] > 0.49
