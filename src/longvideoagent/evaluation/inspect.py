"""A task for Inspect, the UK AI Security Institute's evaluation framework (extra ``inspect``).

    inspect eval longvideoagent/longvideo --model none/none -T data=FOLDER -T model=openai:NAME@URL

The loop, the agents and the scoring are this package's own; Inspect schedules the questions, writes its log and shows
it. The trace of each question is in the log's metadata.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset
from inspect_ai.dataset import Sample as InspectSample
from inspect_ai.model import ModelOutput
from inspect_ai.scorer import CORRECT, INCORRECT, NOANSWER, Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver

from longvideoagent.agents.build import load_team
from longvideoagent.agents.config import TeamConfig
from longvideoagent.agents.default_models import DefaultModels, choose_team
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.trace import Agents, RolloutSettings, Trace
from longvideoagent.core.types import Question
from longvideoagent.datasets.base import Dataset, DatasetOptions
from longvideoagent.datasets.open_videos import OpenVideos
from longvideoagent.datasets.registry import open_dataset
from longvideoagent.run import finish
from longvideoagent.views.trace_dict import trace_to_dict


@task
def longvideo(data: str, split: str = "val", team: str | None = None, **settings: Any) -> Task:
    """All questions of a data set that have a gold option. ``settings`` are ``model``, ``master``, ``grounding`` and
    ``vision``, as the options of ``lva eval``; ``max_rounds``, ``window``, ``agents``, ``data_set``, ``subtitles``
    and ``encoding``. Without a team and models, the default models are used (LVA_MODEL or ``lva config``)."""
    subtitles = settings.pop("subtitles", None)
    options = DatasetOptions(
        settings.pop("data_set", None), None if subtitles is None else Path(subtitles), settings.pop("encoding", None)
    )
    dataset = open_dataset(Path(data), split, options)
    samples = [
        InspectSample(
            input=sample.question.text,
            choices=list(sample.question.options),
            target=f"a{sample.gold.option_index}",
            id=sample.question.id,
            metadata={"video": sample.video, "kind": sample.kind},
        )
        for sample in dataset.samples
        if sample.gold.option_index is not None
    ]
    agents = Agents(settings.pop("agents", Agents.GROUNDING_VISION))
    models = DefaultModels(**{name: settings.pop(name, None) for name in DefaultModels.model_fields})
    limits: dict[str, Any] = {name: int(value) for name, value in settings.items()}
    team_config = choose_team(team, models)
    has_tools = team_config.knows_timeline_tools and agents is not Agents.NONE
    solver = rollout(dataset, team_config, RolloutSettings(agents=agents, timeline_tools=has_tools, **limits))
    return Task(MemoryDataset(samples, dataset.name), solver=solver, scorer=option_scorer())


@solver
def rollout(data: Dataset, team_config: TeamConfig, settings: RolloutSettings) -> Solver:
    """Runs this package's loop. An agent that is down is an error of that sample, not an answer."""
    loaded_team = load_team(team_config)
    videos = OpenVideos(data)
    num_running = 0

    async def run(question: Question, video_name: str) -> Trace:
        """The finished trace. The last one to end closes the team's connections."""
        nonlocal num_running
        num_running += 1
        try:
            video = await videos.get(video_name)
            return await finish(question, video, loaded_team, settings)
        finally:
            num_running -= 1
            if not num_running:
                await loaded_team.close()

    async def solve(state: TaskState, generate: Generate) -> TaskState:  # noqa: ARG001 (the team has its own models)
        question = Question(state.input_text, tuple(choice.value for choice in state.choices), str(state.sample_id))
        trace = await run(question, state.metadata["video"])
        if trace.outcome is Outcome.FAILED:
            raise RuntimeError(trace.cause)
        state.metadata["trace"] = trace_to_dict(trace)
        option = "" if trace.option_index is None else f"a{trace.option_index}"
        state.output = ModelOutput.from_content("longvideoagent", option or trace.answer)
        state.completed = True
        return state

    return solve


@scorer(metrics=[accuracy(), stderr(cluster="video")])
def option_scorer() -> Scorer:
    """Correct where the option that the loop chose is the gold option."""

    async def score(state: TaskState, target: Target) -> Score:
        answer = state.output.completion
        value = CORRECT if answer == target.text else INCORRECT if answer else NOANSWER
        return Score(value=value, answer=answer, explanation=state.metadata["trace"]["rounds"][-1]["reply"]["text"])

    return score
