"""What a question may cost at most, told before anything is asked.

Upper bounds under two assumptions, which are named beside the figures: how many bytes make a token and
how many tokens a picture is. Calls that have to be tried again come on top, remembered replies are
cheaper.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

from longvideoagent.agents.build import read_prompt
from longvideoagent.agents.config import AgentConfig, TeamConfig
from longvideoagent.agents.grounding import SETTINGS as GROUNDING_SETTINGS
from longvideoagent.agents.grounding import grounding_prompt, subtitle_block
from longvideoagent.agents.master import SETTINGS as MASTER_SETTINGS
from longvideoagent.agents.prompts import master_prompt
from longvideoagent.core.context import Style, render_first_message
from longvideoagent.core.protocol import render_located
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import ClipObservation, Question, Timeline, Usage
from longvideoagent.errors import UsageError
from longvideoagent.media.contact_sheet import CLIPS_PER_SHEET
from longvideoagent.media.video import Video
from longvideoagent.models.base import DEFAULTS

BYTES_PER_TOKEN = 3
"""Tokenizers make a token of about 4 bytes of English and of 3 of most other languages."""
TOKENS_PER_PICTURE = 1_100
"""A 768-pixel frame is 400 to 1,100 tokens to today's models."""
TOKENS_PER_OFFLINE_LOOK = 2_000
TOKENS_OF_A_REQUEST = 500
"""What the master may ask grounding for, and the words around it."""
REPAIRED = 2
"""A grounding model is asked a second time where it names no clip that is there."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """One role's most. ``usd`` is None where no price is known."""

    role: str
    model: str
    most: Usage
    usd: float | None


def check_prices(team_config: TeamConfig, max_usd: float | None) -> None:
    """Refuse a bound in dollars that is none, or one where a price is missing. Raises UsageError."""
    if max_usd is not None and not max_usd > 0:
        raise UsageError(f"--max-usd {max_usd}: no amount to spend; give more than 0")
    if max_usd is not None and team_config.unpriced:
        name = team_config.unpriced[0]
        raise UsageError(
            f"no price is known for {name}, so --max-usd means nothing; "
            f'give a --team file with [prices."{name}"] prompt = …, completion = … (dollars for a million tokens)'
        )


def forecast(
    question: Question, episode: Video, team_config: TeamConfig, settings: RolloutSettings
) -> tuple[Forecast, ...]:
    """The most that each role may use, and the most in all. Tokens and calls in all are less than their
    sum, since a round that looks does not relocate."""
    actions = settings.max_rounds - 1
    grounding = (
        _one_grounding(question, episode.timeline, team_config.grounding, settings) if settings.grounding else Usage()
    )
    look = _one_look(team_config.vision, settings) if settings.vision else Usage()
    master = _all_replies(question, episode.timeline, team_config, settings)
    used = {"master": master, "grounding": _times(grounding, settings.max_rounds), "vision": _times(look, actions)}
    roles = {"master": team_config.master, "grounding": team_config.grounding, "vision": team_config.vision}
    told = [
        Forecast(name, roles[name].model, most, _usd(roles[name], most, team_config)) for name, most in used.items()
    ]
    dearer = Usage(*(max(pair) for pair in zip(astuple(grounding), astuple(look), strict=True)))
    total = master + grounding + _times(dearer, actions)
    prices = [each.usd for each in told]
    usd = None if None in prices else sum(price for price in prices if price is not None)
    return (*told, Forecast("in all", "", total, usd))


def _all_replies(question: Question, timeline: Timeline, team_config: TeamConfig, settings: RolloutSettings) -> Usage:
    role = team_config.master
    if role.spec.is_offline:
        return Usage(calls=settings.max_rounds)
    reply = role.max_tokens or MASTER_SETTINGS.max_tokens
    window = _widest(timeline, settings)
    wording = read_prompt(team_config.prompt_file) or master_prompt(settings.agents)
    opening = render_first_message(Trace(question, settings, window), wording, team_config.look_tag)
    observed = max(_tokens(render_located(window)), _look_tokens(team_config.vision) * settings.parallel_looks)
    grows = observed + (0 if team_config.style is Style.ACCUMULATED else reply)
    rounds = settings.max_rounds
    prompts = rounds * _tokens(opening) + grows * rounds * (rounds - 1) // 2
    return Usage(rounds, prompts, rounds * reply)


def _one_grounding(question: Question, timeline: Timeline, role: AgentConfig, settings: RolloutSettings) -> Usage:
    if role.spec.is_offline:
        return Usage(calls=1)
    sheets = 0 if timeline.subtitles else math.ceil(len(timeline.clips) / CLIPS_PER_SHEET)
    asked = _tokens("\n".join([question.text, *question.options])) + TOKENS_OF_A_REQUEST
    labels = _tokens(", ".join(clip.label for clip in timeline.clips))  # told where a label has to be repaired
    told_of_visited = 120 * settings.max_rounds + labels
    prompt = _tokens(subtitle_block(timeline)) + _tokens(grounding_prompt()) + asked + told_of_visited
    reply = role.max_tokens or GROUNDING_SETTINGS.max_tokens
    return _times(Usage(1, prompt + sheets * TOKENS_PER_PICTURE + reply, reply, sheets), REPAIRED)


def _one_look(role: AgentConfig, settings: RolloutSettings) -> Usage:
    if role.spec.is_offline:
        return Usage(calls=settings.parallel_looks)
    asked = role.max_frames * TOKENS_PER_PICTURE + 300
    return _times(Usage(1, asked, _look_tokens(role), role.max_frames), settings.parallel_looks)


def _look_tokens(role: AgentConfig) -> int:
    return TOKENS_PER_OFFLINE_LOOK if role.spec.is_offline else role.max_tokens or DEFAULTS.max_tokens


def _widest(timeline: Timeline, settings: RolloutSettings) -> ClipObservation:
    """The window with the longest subtitles, as if it had been located."""
    if not settings.grounding:
        whole = timeline.whole()
        return ClipObservation(whole, (whole,))
    windows = [ClipObservation(clip, timeline.window(clip, settings.window)) for clip in timeline.clips]
    return max(windows, key=lambda located: len(render_located(located)))


def _usd(role: AgentConfig, usage: Usage, team_config: TeamConfig) -> float | None:
    if not role.spec.needs_price:
        return 0.0
    price = team_config.prices.get(role.spec.name)
    return price.usd(usage) if price else None


def _tokens(text: str) -> int:
    return math.ceil(len(text.encode("utf-8", "replace")) / BYTES_PER_TOKEN)


def _times(usage: Usage, count: int) -> Usage:
    return sum([usage] * count, Usage())
