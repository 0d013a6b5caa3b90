"""Where the wording of a run is from: recorded, printed next to its number, and compared with protocol and set."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from longvideoagent.agents.config import TeamConfig
from longvideoagent.agents.prompts import default_layout, read_layout
from longvideoagent.agents.prompts.layout_toml import layout_to_toml
from longvideoagent.agents.prompts.public_code import import_layout
from longvideoagent.evaluation.config import EvalConfig, load_samples, resolve
from tests.fakes.faulty_server import serving
from tests.fakes.public_checkout import write_checkout
from tests.fakes.release import write_release
from tests.plugins.cli import Completed, lva
from tests.plugins.runs import eval_config, reply_as_any_model, run

MODEL = "openai:gpt-4o"
ELSEWHERE = "was imported for another protocol than the run's"
OTHER_SET = "was imported for another data set than the run's"


@pytest.fixture
def layouts(tmp_path: Path) -> Path:
    """A folder with layouts of a checkout, by protocol and set, and one without an origin."""
    checkout = write_checkout(tmp_path / "LongVideoAgent")
    for protocol in ("public-local", "public-api", "public-training"):
        for name in ("longtvqa", "longtvqa-plus"):
            text = layout_to_toml(import_layout(checkout, protocol, name))
            (tmp_path / f"{protocol}-{name}.toml").write_text(text)
    (tmp_path / "own.toml").write_text('last_round = "Now!"\n')
    return tmp_path


def test_imported_layout_names_its_origin(layouts: Path) -> None:
    layout = read_layout(layouts / "public-api-longtvqa.toml")
    assert (layout.protocol, layout.dataset) == ("public-api", "longtvqa")
    trained = read_layout(layouts / "public-training-longtvqa.toml")
    assert (trained.protocol, trained.dataset) == ("public-training", "")
    assert (default_layout().protocol, default_layout().dataset) == ("", "")


def dry_run(release: Path, *options: str | Path, name: str = "eval") -> Completed:
    words = [name] if name == "eval" else [name, "rounds"]
    done = lva(*words, release, "-m", MODEL, "--dry-run", *options)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize(
    ("protocol", "layout", "warning"),
    [
        ("public-api", "public-api-longtvqa-plus.toml", ""),
        ("public-training", "public-training-longtvqa.toml", ""),
        ("ours", "public-api-longtvqa-plus.toml", ""),
        ("ours", "own.toml", ""),
        ("public-api", "public-local-longtvqa-plus.toml", f"{ELSEWHERE}, public-api; give --protocol public-local, or"),
        (
            "public-local",
            "public-training-longtvqa.toml",
            f"{ELSEWHERE}, public-local; give --protocol public-training",
        ),
        ("public-api", "public-api-longtvqa.toml", f"{OTHER_SET}, LongTVQA_plus; import one with --set longtvqa-plus"),
        ("public-api", "own.toml", "but the wording is that of the layout "),
        ("public-api", "", "protocol public-api, but the wording is ours and not the public code's; lva layout import"),
    ],
)
def test_wording_of_another_protocol_or_set(protocol: str, layout: str, warning: str, layouts: Path) -> None:
    release = write_release(layouts / "plus")
    option = ["--layout", str(layouts / layout)] if layout else []
    done = dry_run(release, "--protocol", protocol, *option)
    assert ("the wording is" in done.stderr or "was imported" in done.stderr) is bool(warning)
    assert warning in done.stderr


def test_wording_of_the_other_set(layouts: Path) -> None:
    release = write_release(layouts / "tvqa")
    (release / "LongTVQA_plus_val.json").rename(release / "LongTVQA_val.jsonl")
    (release / "LongTVQA_plus_subtitle_clip_level.json").rename(release / "LongTVQA_subtitles_clip_level.jsonl")
    options = ("--protocol", "public-api", "--layout")
    assert OTHER_SET in dry_run(release, *options, layouts / "public-api-longtvqa-plus.toml").stderr
    assert OTHER_SET not in dry_run(release, *options, layouts / "public-api-longtvqa.toml").stderr


def test_wording_without_agents(release: Path) -> None:
    done = dry_run(release, "--protocol", "public-api", "--agents", "none")
    assert "the wording is ours and not the public code's; none is imported for a master without agents" in done.stderr


def test_wording_warned_once_in_a_grid(release: Path) -> None:
    done = dry_run(release, "--protocol", "public-api", name="ablate")
    assert done.stderr.count("the wording is ours") == 1


def test_wording_next_to_every_number(layouts: Path, tmp_path: Path) -> None:
    release, layout = write_release(layouts / "plus"), layouts / "public-local-longtvqa-plus.toml"
    options = ["--run", str(tmp_path / "run"), "--layout", str(layout), "--protocol", "public-api"]
    words = ["eval", str(release), *options]
    with serving(reply_as_any_model) as (url, _):
        words += [f"--{agent}=openai:{agent}@{url}" for agent in ("master", "grounding", "vision")]
        first, again = lva(*words), lva(*words)
    assert first.returncode == 0, first.stderr
    for done in (first, again):
        assert f"layout {layout} (public-local, longtvqa-plus) · style accumulated" in done.stdout
        assert f"wording: the layout {layout} (public-local, longtvqa-plus) {ELSEWHERE}" in done.stdout
    assert ELSEWHERE in first.stderr
    page = (tmp_path / "run" / "report.html").read_text()
    assert f"layout {layout} (public-local, longtvqa-plus)" in page
    assert f"Wording: the layout {layout}" in page


def test_default_layout_next_to_every_number(release: Path, tmp_path: Path) -> None:
    done = lva("eval", release, "--run", tmp_path / "run", "--agents", "grounding")
    assert " · default layout · style turns" in done.stdout
    assert "wording:" not in done.stdout


def resolved(release: Path, layout: dict[str, str] | None) -> dict[str, object]:
    agent = {"model": MODEL}
    team = TeamConfig.model_validate({"master": agent | {"dialect": "tags"}, "grounding": agent, "layout": layout})
    config: EvalConfig = eval_config(release, team)
    return resolve(config, *load_samples(config))


def test_origin_is_not_part_of_the_prompt_digest(release: Path) -> None:
    origin = {"protocol": "public-api", "dataset": "longtvqa"}
    for own in ({}, {"last_round": "Now!"}):
        before, after = resolved(release, own or None), resolved(release, {**own, **origin})
        assert before["prompt_sha256"] == after["prompt_sha256"]
    assert resolved(release, None)["prompt_sha256"] != resolved(release, {"last_round": "Now!"})["prompt_sha256"]


def test_run_without_an_origin_resumes(release: Path, tmp_path: Path) -> None:
    """A run of an older version, whose settings have no origin of the layout."""
    team = TeamConfig.model_validate({"layout": {"last_round": "Now!"}})
    run(eval_config(release, team, limit=2), tmp_path / "run")
    file = tmp_path / "run" / "config.json"
    config = json.loads(file.read_text())
    assert "protocol" not in config["team"]["layout"]
    assert "dataset" not in config["team"]["layout"]
    del config["wording"], config["wording_warnings"]
    file.write_text(json.dumps(config))
    assert run(eval_config(release, team, limit=3), tmp_path / "run")["num_finished"] == 3
    assert json.loads(file.read_text())["wording"] == "layout of the team"
    shutil.rmtree(tmp_path / "run")
