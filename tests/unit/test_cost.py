"""The forecast of a dry run is an upper bound of what a rollout uses."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from longvideoagent import RolloutSettings, TeamConfig
from longvideoagent.agents.build import load_team
from longvideoagent.agents.config import AgentConfig
from longvideoagent.agents.cost import BYTES_PER_TOKEN, CostForecast, check_prices, forecast_cost, old_prices
from longvideoagent.agents.prompts import parse_layout
from longvideoagent.agents.team_file import load_team_config
from longvideoagent.core.context import Style
from longvideoagent.core.trace import Agents
from longvideoagent.core.types import Question
from longvideoagent.errors import DataError, UsageError
from longvideoagent.index.open import open_video
from longvideoagent.media.video import Video
from longvideoagent.models.base import TokenPrice
from longvideoagent.run import answer
from tests.fakes.faulty_server import Server, say, serving

QUESTION = Question("What colour is it?", ("grey", "red"))
SUBTITLES = "\n".join(f"{n}\n00:00:0{n},000 --> 00:00:0{n},900\nMira: this is line {n}\n" for n in range(1, 10))


@pytest.fixture
def video(short_video: Path, tmp_path: Path) -> Video:
    (tmp_path / "talk.srt").write_text(SUBTITLES)
    return open_video(short_video, tmp_path / "talk.srt")


def by_agent(forecasts: tuple[CostForecast, ...]) -> dict[str, CostForecast]:
    return {each.agent: each for each in forecasts}


def sent(server: Server) -> tuple[int, int]:
    """Tokens of text sent, as the forecast counts them, and images."""
    bytes_sent = images = 0
    for request in server.requests:
        messages = request.get("messages") or [{"content": request["prompt"]}]
        for message in messages:
            parts = message["content"] if isinstance(message["content"], list) else [{"text": message["content"]}]
            bytes_sent += sum(len(part.get("text", "").encode()) for part in parts)
            images += sum("image_url" in part for part in parts)
    return bytes_sent // BYTES_PER_TOKEN, images


@pytest.mark.parametrize("style", list(Style))
@pytest.mark.parametrize("agents", list(Agents))
def test_forecast_is_upper_bound(style: Style, agents: Agents, video: Video) -> None:
    settings = RolloutSettings(max_rounds=4, agents=agents)
    long = "word " * 600
    with serving(
        say("c01"), say(f"<think>{long}</think><search>{long}</search>"), say(long), say(f"{long}<search>x</search>"),
        say(long), say("<request_grounding/>"), say("c01"), say("nothing"), say("<answer>a0</answer>"),
    ) as (url, server):  # fmt: skip
        spec = f"openai:m@{url}"
        team_config = TeamConfig(
            style=style, prices={"m": TokenPrice(prompt_usd_per_mtok=1.0, completion_usd_per_mtok=2.0)}
        )
        team_config = team_config.with_models(master=spec, grounding=spec, vision=spec)
        total = by_agent(forecast_cost(QUESTION, video, team_config, settings))["total"]
        trace = answer(QUESTION, video, load_team(team_config), settings)
    tokens, images = sent(server)
    assert trace.usage.calls <= total.max_usage.calls
    assert tokens <= total.max_usage.prompt_tokens
    assert images <= total.max_usage.images
    assert total.usd is not None
    assert trace.usage.usd <= total.usd


def test_forecast_is_upper_bound_of_other_prompts(video: Video) -> None:
    layout = parse_layout(
        {"grounding_prompt": "word " * 9000 + "${raw_subtitles}", "vision_prompt": "word " * 9000 + "$query"}
    )
    replies = ("<clip>c01</clip>", "<search>x</search>", "seen", "<answer>a0</answer>")
    with serving(*map(say, replies)) as (url, server):
        spec = f"openai:m@{url}"
        team_config = TeamConfig(layout=layout, vision=AgentConfig(frame_numbers=(1, 180, 6)))
        team_config = team_config.with_models(master=spec, grounding=spec, vision=spec)
        total = by_agent(forecast_cost(QUESTION, video, team_config, RolloutSettings(max_rounds=3)))["total"]
        answer(QUESTION, video, load_team(team_config), RolloutSettings(max_rounds=3))
    tokens, images = sent(server)
    assert tokens > 20_000
    assert tokens <= total.max_usage.prompt_tokens
    assert images <= total.max_usage.images


def test_forecast_per_agent(video: Video) -> None:
    team_config = TeamConfig(
        master=AgentConfig(model="openai:a", max_tokens=100),
        grounding=AgentConfig(model="openai:b"),
        vision=AgentConfig(model="openai:a", max_frames=8),
        prices={"a": TokenPrice(prompt_usd_per_mtok=1.0, completion_usd_per_mtok=10.0)},
    )
    forecasts = by_agent(forecast_cost(QUESTION, video, team_config, RolloutSettings(max_rounds=5, parallel_looks=3)))
    assert (forecasts["master"].max_usage.calls, forecasts["master"].max_usage.completion_tokens) == (5, 500)
    assert forecasts["grounding"].max_usage.calls == 10  # each may need a second go
    assert (forecasts["vision"].max_usage.calls, forecasts["vision"].max_usage.images) == (12, 96)
    assert forecasts["master"].usd == pytest.approx((forecasts["master"].max_usage.prompt_tokens + 10 * 500) / 1e6)
    assert forecasts["grounding"].usd is None
    assert forecasts["total"].usd is None


def test_forecast_of_many_rounds(video: Video) -> None:
    forecast = by_agent(forecast_cost(QUESTION, video, TeamConfig(), RolloutSettings(max_rounds=10**12)))
    assert forecast["total"].max_usage.calls > 10**12


def test_forecast_offline_team_costs_nothing(video: Video) -> None:
    total = by_agent(forecast_cost(QUESTION, video, TeamConfig(), RolloutSettings()))["total"]
    assert (total.max_usage.tokens, total.usd) == (0, 0.0)


def test_forecast_of_server_on_this_machine_is_free(video: Video) -> None:
    team_config = TeamConfig().with_models(master="openai:m@http://127.0.0.1:9/v1")
    assert [each.usd for each in forecast_cost(QUESTION, video, team_config, RolloutSettings())] == [0.0] * 4
    elsewhere = TeamConfig().with_models(master="openai:m@http://host:9/v1")
    assert forecast_cost(QUESTION, video, elsewhere, RolloutSettings())[-1].usd is None


def test_forecast_takes_tokens_per_image_of_the_price(video: Video) -> None:
    prices = {
        "a": TokenPrice(prompt_usd_per_mtok=1.0, completion_usd_per_mtok=0.0, tokens_per_image=14_167),
        "b": TokenPrice(prompt_usd_per_mtok=1.0, completion_usd_per_mtok=0.0),
    }
    by_model = {}
    for name in ("a", "b"):
        vision = AgentConfig(model=f"openai:{name}", max_frames=8)
        team_config = TeamConfig(vision=vision, prices=prices)
        by_model[name] = by_agent(forecast_cost(QUESTION, video, team_config, RolloutSettings(max_rounds=2)))["vision"]
    assert by_model["a"].max_usage.images == 8
    assert by_model["a"].max_usage.prompt_tokens - by_model["b"].max_usage.prompt_tokens == 8 * (14_167 - 1_100)
    assert by_model["a"].usd == pytest.approx(by_model["a"].max_usage.prompt_tokens / 1e6)


def test_max_usd_needs_prices() -> None:
    team_config = TeamConfig(master=AgentConfig(model="openai:a@http://host:1/v1"))
    with pytest.raises(UsageError, match=r'\[prices\."a"\]'):
        check_prices(team_config, 1.0)
    check_prices(team_config, None)
    free = TokenPrice(prompt_usd_per_mtok=0, completion_usd_per_mtok=0)
    check_prices(team_config.model_copy(update={"prices": {"a": free}}), 1.0)
    check_prices(TeamConfig(), 1.0)
    check_prices(TeamConfig().with_models(model="openai:a@http://127.0.0.1:1/v1"), 1.0)


def write_prices(folder: Path, **more: str) -> Path:
    fields = {"prompt_usd_per_mtok": "2.5", "completion_usd_per_mtok": "10", "date": "2026-03-01", **more}
    lines = "\n".join(f"{name} = {value}" for name, value in fields.items())
    (folder / "prices.toml").write_text(f'["gpt-4o"]\n{lines}\n')
    return folder / "prices.toml"


def test_prices_of_a_table(tmp_path: Path) -> None:
    table = write_prices(tmp_path, source='"https://example.org/prices"')
    (tmp_path / "teams").mkdir()
    team = tmp_path / "teams" / "team.toml"
    team.write_text('prices_file = "../prices.toml"\n[vision]\nmodel = "openai:gpt-4o"\n[master]\nmodel = "openai:m"\n')
    team_config = load_team_config(str(team))
    assert team_config.used_prices["gpt-4o"].prompt_usd_per_mtok == 2.5
    assert team_config.unpriced == ("m",)
    team.write_text(team.read_text() + "[prices.gpt-4o]\nprompt_usd_per_mtok = 1\ncompletion_usd_per_mtok = 1\n")
    assert load_team_config(str(team)).used_prices["gpt-4o"].prompt_usd_per_mtok == 1
    assert load_team_config(str(team), table).used_prices["gpt-4o"].prompt_usd_per_mtok == 2.5
    assert load_team_config("offline", table).used_prices == {}


def test_prices_old(tmp_path: Path) -> None:
    write_prices(tmp_path, source='"https://example.org/prices"')
    (tmp_path / "team.toml").write_text('prices_file = "prices.toml"\n[vision]\nmodel = "openai:gpt-4o"\n')
    team_config = load_team_config(str(tmp_path / "team.toml"))
    assert old_prices(team_config, date(2026, 9, 1)) == []
    assert old_prices(team_config, date(2026, 11, 29)) == [
        "the price of gpt-4o is of 2026-03-01, 8 months old; check it at https://example.org/prices"
    ]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"date": '"soon"'}, "prices.toml: gpt-4o.date: .*; fix that field"),
        ({"colour": "1"}, "prices.toml: gpt-4o.colour: unknown field|prices.toml: gpt-4o.colour: "),
        ({"prompt_usd_per_mtok": "-1"}, "prices.toml: gpt-4o.prompt_usd_per_mtok: "),
        ({"source": "x"}, "prices.toml: not TOML"),
    ],
)
def test_prices_invalid(more: dict[str, str], message: str, tmp_path: Path) -> None:
    table = write_prices(tmp_path, **more)
    with pytest.raises(DataError, match=message):
        load_team_config("offline", table)
    with pytest.raises(DataError, match="cannot be read as prices"):
        load_team_config("offline", tmp_path / "none.toml")
