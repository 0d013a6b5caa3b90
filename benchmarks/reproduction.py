"""Estimates of tokens, dollars and hours for each team of configs/teams, as docs/reproduce.md shows them.

python benchmarks/reproduction.py

Nothing here is measured except the length of the subtitles. Per question::

    episode, clip   = bytes of the published text / BYTES_PER_TOKEN
    one prompt      = PROMPT + QUESTION + episode + frames * FRAME
    agents: master  = replies * (PROMPT + QUESTION + clip) + replies * (replies - 1) / 2 * GROWTH
            grounding = groundings * (GROUNDING_PROMPT + QUESTION + episode)
            vision  = looks * (LOOK_PROMPT + 15 * FRAME)
    dollars         = prompt tokens and reply tokens by configs/prices.toml, without discounts
    hours           = questions * seconds of all calls, one after the other / CONCURRENCY
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from longvideoagent.agents.config import AgentConfig, TeamConfig
from longvideoagent.agents.team_file import load_team_config
from longvideoagent.core.types import Usage

ROOT = Path(__file__).resolve().parents[1]
BYTES_PER_TOKEN = 4
"""Assumed for English."""
EPISODE, CLIP = 18_433 // BYTES_PER_TOKEN, 933 // BYTES_PER_TOKEN
"""Of the subtitles: measured means of 94 episodes and 1,798 clips of LongTVQA+."""
PROMPT, QUESTION, GROUNDING_PROMPT, LOOK_PROMPT = 350, 50, 150, 100
GROWTH = 300
"""An observation with the tags around it."""
FRAME = 425
"""A frame of 640 x 360 as OpenAI counts it for GPT-4o: 85 and 170 for each of two tiles. Also assumed for others."""
FRAME_OF = {"gpt-4o-mini": 14_167, "gemini-2.5-pro": 258}
"""A frame for models that count it otherwise: 2,833 and 5,667 a tile; one tile of 258."""
REPLIES, GROUNDINGS, LOOKS = 2.5, 1.5, 1.0
"""Calls of a question, assumed."""
MAX_ROUNDS = {"ablation-rounds": (2, 5, 10)}
"""Teams that are asked with several limits of replies. A limit below ``REPLIES`` lowers all calls but the first
grounding in proportion to the replies before the answer; a higher one changes nothing."""
REPLY, THOUGHT_REPLY, LOOK_REPLY = 250, 1_000, 250
"""Tokens of a reply, of a reply with thoughts, and of the description of a look, assumed."""
CALL_S, THOUGHT_CALL_S = 6, 15
"""Seconds of a call, assumed."""
THINKING_CHECKPOINT = "qwen3-4b"
"""Trained from a thinking model; as evaluated, its thoughts are part of the reply."""
CONCURRENCY = 16
SAMPLE, ALL = 300, 3_017
"""Questions: of the samples behind the ablations and the card, and of LongTVQA+'s validation set."""
TRAINING_QUESTIONS, TRAINING_TEAM = 23_545, "training-3b"
"""Of LongTVQA+'s training set, and the team that locates their first clips."""
BASELINE_FRAMES = {"gpt-4o": 16, "gpt-4o-mini": 16, "gemini-2.5-pro": 16, "gpt5-mini": 0, "grok": 0, "deepseek-r1": 0}
"""Teams that are asked without agents, and the frames in their prompt."""


class Estimate(NamedTuple):
    """Of one question."""

    prompt_tokens: float
    completion_tokens: float
    usd: float
    seconds: float


def estimate(name: str, team: TeamConfig, max_rounds: int | None = None) -> Estimate:
    """The estimate of a question put to a team, which may reply ``max_rounds`` times; None: as often as assumed."""
    if name in BASELINE_FRAMES:
        prompt = PROMPT + QUESTION + EPISODE + BASELINE_FRAMES[name] * _frame(team.master)
        parts = [(team.master, 1.0, float(prompt), _reply(team.master))]
    else:
        replies = min(REPLIES, max_rounds or REPLIES)
        fraction = (replies - 1) / (REPLIES - 1)
        groundings, looks = 1 + (GROUNDINGS - 1) * fraction, LOOKS * fraction
        growth = GROWTH * replies * (replies - 1) / 2
        parts = [
            (team.master, replies, replies * (PROMPT + QUESTION + CLIP) + growth, _reply(team.master)),
            (team.grounding, groundings, groundings * (GROUNDING_PROMPT + QUESTION + EPISODE), _reply(team.grounding)),
            (team.vision, looks, looks * (LOOK_PROMPT + team.vision.max_frames * _frame(team.vision)), LOOK_REPLY),
        ]
    usd = sum(
        team.prices[agent.spec.name].usd(
            Usage(calls=1, prompt_tokens=round(prompt), completion_tokens=round(calls * reply))
        )
        for agent, calls, prompt, reply in parts
    )
    seconds = sum(calls * (THOUGHT_CALL_S if _thinks(agent) else CALL_S) for agent, calls, _, _ in parts)
    prompt_tokens = sum(prompt for _, _, prompt, _ in parts)
    return Estimate(prompt_tokens, sum(calls * reply for _, calls, _, reply in parts), usd, seconds)


def grounding_usd() -> float:
    """The dollars of locating the first clip of every training question."""
    team = load_team_config(str(ROOT / "configs" / "teams" / f"{TRAINING_TEAM}.toml"))
    prompt = GROUNDING_PROMPT + QUESTION + EPISODE
    usage = Usage(calls=1, prompt_tokens=prompt, completion_tokens=_reply(team.grounding))
    return TRAINING_QUESTIONS * team.prices[team.grounding.spec.name].usd(usage)


def _frame(agent: AgentConfig) -> int:
    return FRAME_OF.get(agent.spec.name, FRAME)


def _thinks(agent: AgentConfig) -> bool:
    return agent.reasoning or THINKING_CHECKPOINT in agent.spec.name


def _reply(agent: AgentConfig) -> int:
    return THOUGHT_REPLY if _thinks(agent) else REPLY


def table() -> list[str]:
    """The lines of the table, one for each team that is evaluated."""
    lines = [
        "| team file | prompt tokens | reply tokens | $, n = 300 | $, n = 3,017 | hours, n = 300 | hours, n = 3,017 |",
        "|---|---|---|---|---|---|---|",
    ]
    for path in sorted((ROOT / "configs" / "teams").glob("*.toml")):
        if path.stem.startswith("training-"):
            continue
        for max_rounds in MAX_ROUNDS.get(path.stem, (None,)):
            each = estimate(path.stem, load_team_config(str(path)), max_rounds)
            numbers = (
                f"{each.prompt_tokens:,.0f}",
                f"{each.completion_tokens:,.0f}",
                *(f"{count * each.usd:,.2f}" for count in (SAMPLE, ALL)),
                *(f"{count * each.seconds / CONCURRENCY / 3600:.1f}" for count in (SAMPLE, ALL)),
            )
            suffix = "" if max_rounds is None else f", K = {max_rounds}"
            lines.append(f"| `{path.name}`{suffix} | {' | '.join(numbers)} |")
    return lines


if __name__ == "__main__":
    print("\n".join(table()))
    print(f"First clips of {TRAINING_QUESTIONS:,} training questions: ${grounding_usd():.2f}")
