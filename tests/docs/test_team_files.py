"""The team files of configs/teams: each loads, and has a price for every model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from longvideoagent.agents.config import load_prices, load_team_config

ROOT = Path(__file__).resolve().parents[2]
TEAMS = sorted((ROOT / "configs" / "teams").glob("*.toml"))
REPRODUCE = (ROOT / "docs" / "reproduce.md").read_text()


@pytest.mark.parametrize("path", TEAMS, ids=lambda path: path.stem)
def test_team_file_loads(path: Path) -> None:
    team_config = load_team_config(str(path))
    assert team_config.unpriced == ()
    assert all(agent.spec.url for agent in team_config.agents.values() if agent.spec.is_remote)
    assert path.read_text().startswith("# ")
    is_training = path.stem.startswith("training-")
    assert team_config.master.spec.is_offline is is_training
    if is_training:
        assert team_config.vision.max_frames == len(range(1, 181, 15))


def test_team_file_takes_preset() -> None:
    team_config = load_team_config(str(ROOT / "configs" / "teams" / "agentic-qwen2.5-7b.toml"))
    preset = load_team_config(team_config.preset or "")
    assert team_config.master == preset.master.model_copy(update={"model": team_config.master.model})
    assert (team_config.style, team_config.look_tag) == (preset.style, "search")
    assert team_config.vision.max_frames == 15


def test_prices_have_date_and_source() -> None:
    for name, price in load_prices(ROOT / "configs" / "prices.toml").items():
        assert (price.date is not None and price.source is not None) == (price.prompt_usd_per_mtok > 0), name


def test_team_files_in_reproduce_doc() -> None:
    named = set(re.findall(r"configs/teams/([\w.-]+\.toml)", REPRODUCE))
    assert named <= {path.name for path in TEAMS}
