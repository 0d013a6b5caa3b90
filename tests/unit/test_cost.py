"""What a dry run tells must not be less than what a rollout then uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from longvideoagent import RolloutSettings, TeamConfig
from longvideoagent.agents.build import load_team
from longvideoagent.agents.config import AgentConfig
from longvideoagent.agents.cost import BYTES_PER_TOKEN, Forecast, check_prices, forecast
from longvideoagent.core.context import Style
from longvideoagent.core.trace import Agents
from longvideoagent.core.types import Question
from longvideoagent.errors import UsageError
from longvideoagent.media.video import Video, open_video
from longvideoagent.models.base import TokenPrice
from longvideoagent.run import answer
from tests.fakes.faulty_server import Server, say, serving

QUESTION = Question("What colour is it?", ("grey", "red"))
SUBTITLES = "\n".join(f"{n}\n00:00:0{n},000 --> 00:00:0{n},900\nMira: this is line {n}\n" for n in range(1, 10))


@pytest.fixture
def episode(short_video: Path, tmp_path: Path) -> Video:
    (tmp_path / "talk.srt").write_text(SUBTITLES)
    return open_video(short_video, tmp_path / "talk.srt")


def by_role(told: tuple[Forecast, ...]) -> dict[str, Forecast]:
    return {each.role: each for each in told}


def sent(server: Server) -> tuple[int, int]:
    """Tokens of text sent, as the forecast counts them, and pictures."""
    bytes_sent = pictures = 0
    for request in server.got:
        for message in request["messages"]:
            parts = message["content"] if isinstance(message["content"], list) else [{"text": message["content"]}]
            bytes_sent += sum(len(part.get("text", "").encode()) for part in parts)
            pictures += sum("image_url" in part for part in parts)
    return bytes_sent // BYTES_PER_TOKEN, pictures


@pytest.mark.parametrize("style", list(Style))
@pytest.mark.parametrize("agents", list(Agents))
def test_no_rollout_uses_more_than_was_forecast(style: Style, agents: Agents, episode: Video) -> None:
    settings = RolloutSettings(max_rounds=4, agents=agents)
    long = "word " * 600
    with serving(
        say("c01"), say(f"<think>{long}</think><search>{long}</search>"), say(long), say(f"{long}<search>x</search>"),
        say(long), say("<request_grounding/>"), say("c01"), say("nothing"), say("<answer>a0</answer>"),
    ) as (url, server):  # fmt: skip
        spec = f"openai:m@{url}"
        team_config = TeamConfig(style=style, prices={"m": TokenPrice(prompt=1.0, completion=2.0)})
        team_config = team_config.with_models(master=spec, grounding=spec, vision=spec)
        most = by_role(forecast(QUESTION, episode, team_config, settings))["in all"]
        trace = answer(QUESTION, episode, load_team(team_config), settings)
    tokens, pictures = sent(server)
    assert trace.usage.calls <= most.most.calls
    assert tokens <= most.most.prompt_tokens
    assert pictures <= most.most.images
    assert most.usd is not None
    assert trace.usage.usd <= most.usd


def test_every_role_is_told_with_its_most(episode: Video) -> None:
    team_config = TeamConfig(
        master=AgentConfig(model="openai:a", max_tokens=100),
        grounding=AgentConfig(model="openai:b"),
        vision=AgentConfig(model="openai:a", max_frames=8),
        prices={"a": TokenPrice(prompt=1.0, completion=10.0)},
    )
    told = by_role(forecast(QUESTION, episode, team_config, RolloutSettings(max_rounds=5, parallel_looks=3)))
    assert (told["master"].most.calls, told["master"].most.completion_tokens) == (5, 500)
    assert told["grounding"].most.calls == 10  # each may need a second go
    assert (told["vision"].most.calls, told["vision"].most.images) == (12, 96)
    assert told["master"].usd == pytest.approx((told["master"].most.prompt_tokens + 10 * 500) / 1e6)
    assert told["grounding"].usd is None
    assert told["in all"].usd is None


def test_the_offline_team_costs_nothing(episode: Video) -> None:
    total = by_role(forecast(QUESTION, episode, TeamConfig(), RolloutSettings()))["in all"]
    assert (total.most.tokens, total.usd) == (0, 0.0)


def test_dollars_cannot_be_bounded_without_prices() -> None:
    team_config = TeamConfig(master=AgentConfig(model="openai:a@http://127.0.0.1:1/v1"))
    with pytest.raises(UsageError, match=r'\[prices\."a"\]'):
        check_prices(team_config, 1.0)
    check_prices(team_config, None)
    check_prices(team_config.model_copy(update={"prices": {"a": TokenPrice(prompt=0, completion=0)}}), 1.0)
    check_prices(TeamConfig(), 1.0)
