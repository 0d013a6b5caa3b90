"""All drivers of the loop agree, and an agent that fails is recorded as such."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from longvideoagent import RolloutSettings, ask, steps
from longvideoagent.agents.base import Team
from longvideoagent.agents.master import ModelMaster
from longvideoagent.agents.offline import OfflineGrounding
from longvideoagent.agents.vision import ModelVision
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.rollout import Rollout
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import Question, Reply, Usage
from longvideoagent.errors import ModelError
from longvideoagent.index.open import open_video
from longvideoagent.models.scripted import ScriptedModel
from longvideoagent.run import answer, finish

SCRIPT = [
    "<think>look</think><visual_query>colours</visual_query>",
    "<request_grounding>elsewhere</request_grounding>",
    "<answer>a0</answer>",
]
QUESTION = Question("What colour is it?", ("grey", "red"))


def scripted_team(*replies: str | Reply | ModelError) -> Team:
    return Team(
        "scripted",
        ModelMaster(ScriptedModel(replies or SCRIPT)),
        OfflineGrounding(),
        ModelVision(ScriptedModel(["0.5 s: grey"])),
    )


def without_seconds(trace: Trace) -> Trace:
    """The trace without the time it took, which no two runs share."""

    def timeless(usage: Usage) -> Usage:
        return replace(usage, seconds=0.0)

    rounds = []
    for each in trace.rounds:
        seen = each.observation
        rounds.append(
            replace(
                each,
                reply=replace(each.reply, usage=timeless(each.reply.usage)),
                observation=seen and replace(seen, usage=timeless(seen.usage)),
            )
        )
    first = trace.first_grounding and replace(trace.first_grounding, usage=timeless(trace.first_grounding.usage))
    return replace(trace, rounds=tuple(rounds), first_grounding=first)


def test_drivers_agree(subtitled_video: Path) -> None:
    episode = open_video(subtitled_video)
    by_answer = answer(QUESTION, episode, scripted_team())
    by_ask = ask(subtitled_video, QUESTION.text, QUESTION.options, team=scripted_team())

    async def last_step() -> Trace:
        seen = [trace async for trace in steps(QUESTION, episode, scripted_team(), RolloutSettings())]
        assert [len(trace.rounds) for trace in seen] == [0, 1, 1, 2, 2, 3]
        return seen[-1]

    async def in_lockstep() -> list[Trace]:
        teams = [scripted_team(), scripted_team()]
        rollouts = [Rollout(QUESTION, episode.timeline) for _ in teams]
        while any(rollout.request for rollout in rollouts):
            pairs = [(team, rollout) for team, rollout in zip(teams, rollouts, strict=True) if rollout.request]
            asked = [team.perform(rollout.request, episode.reader) for team, rollout in pairs if rollout.request]
            for (_, rollout), result in zip(pairs, await asyncio.gather(*asked), strict=True):
                rollout.receive(result)
        return [rollout.trace for rollout in rollouts]

    async def finished() -> Trace:
        seen: list[Trace] = []

        async def keep(trace: Trace) -> None:
            seen.append(trace)

        last = await finish(QUESTION, episode, scripted_team(), RolloutSettings(), keep)
        assert [len(trace.rounds) for trace in seen] == [0, 1, 1, 2, 2, 3]
        assert last is seen[-1]
        return last

    traces = [by_answer, by_ask, asyncio.run(last_step()), asyncio.run(finished()), *asyncio.run(in_lockstep())]
    assert traces[0].answer == "grey"
    assert all(without_seconds(trace) == without_seconds(traces[0]) for trace in traces)


def test_ask_in_running_loop(subtitled_video: Path) -> None:
    async def notebook_cell() -> Trace:
        return ask(subtitled_video, QUESTION.text, QUESTION.options, team=scripted_team())

    assert asyncio.run(notebook_cell()).answer == "grey"


def test_outage_is_not_an_answer(subtitled_video: Path) -> None:
    trace = answer(
        QUESTION, open_video(subtitled_video), scripted_team(SCRIPT[0], ModelError("HTTP 503 after 5 tries"))
    )
    assert trace.outcome is Outcome.FAILED
    assert trace.cause == "master: HTTP 503 after 5 tries"
    assert (trace.answer, trace.option_index) == ("", None)
    assert trace.usage.calls == 4  # the failed call is counted


def test_on_step_order(subtitled_video: Path) -> None:
    traces: list[Trace] = []
    last = answer(QUESTION, open_video(subtitled_video), scripted_team(), on_step=traces.append)
    assert traces[-1] == last
    assert all(trace.outcome is None for trace in traces[:-1])


def test_usage_counted(subtitled_video: Path) -> None:
    usage = answer(QUESTION, open_video(subtitled_video), scripted_team()).usage
    assert usage.calls == 6
    assert usage.images == 15
    assert usage.seconds > 0
