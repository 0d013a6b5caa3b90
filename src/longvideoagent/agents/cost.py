"""Upper bounds of what a question may cost, computed before any model is called.

They rest on two assumptions, given with their values below: bytes per token, and tokens per image of a model whose
price does not state them. Retries come on top; cached replies cost less.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass, replace
from datetime import date

from longvideoagent.agents.config import AgentConfig, TeamConfig
from longvideoagent.agents.grounding import raw_subtitle_block, subtitle_block
from longvideoagent.agents.offline.windows import NUM_WINDOWS, WINDOW_LINES
from longvideoagent.agents.prompts import default_layout
from longvideoagent.agents.reader import MAX_REPLY_TOKENS, READER_PROMPT
from longvideoagent.core.actions import AgentName
from longvideoagent.core.context import Style, render_first_message, render_observation
from longvideoagent.core.layout import template_fields
from longvideoagent.core.protocol import render_located
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import ClipObservation, Question, Timeline, Usage
from longvideoagent.errors import UsageError
from longvideoagent.media.contact_sheet import CLIPS_PER_SHEET
from longvideoagent.media.video import Video

BYTES_PER_TOKEN = 3
"""A token of English is about 4 bytes of UTF-8, of most other languages about 3."""
TOKENS_PER_IMAGE = 1_100
"""Most current models use 250 to 1,100 tokens for a 768-pixel frame; ``TokenPrice`` can state other numbers."""
TOKENS_PER_OFFLINE_LOOK = 2_000
TOKENS_PER_REQUEST = 500
"""The master's request to the grounding agent, with the text around it."""
TOKENS_PER_VISITED_CLIP = 120
"""A visited clip and what was seen there, as the grounding prompt repeats it."""
TOKENS_PER_LOOK_PROMPT = 300
BYTES_PER_TIMED_LINE = 12
"""The time and the line break that a reader's lines have besides their text."""
CALLS_PER_GROUNDING = 2
"""A grounding model that names no existing clip is asked once more."""
TOTAL = "total"
MAX_PRICE_AGE_MONTHS = 6
"""An older price is stated with its age."""
DAYS_PER_MONTH = 365.25 / 12


@dataclass(frozen=True, slots=True)
class CostForecast:
    """The most that one agent may use. ``usd`` is None if no price is known."""

    agent: str
    model: str
    max_usage: Usage
    usd: float | None


def check_prices(team_config: TeamConfig, max_usd: float | None, option: str = "--max-usd") -> None:
    """Raise UsageError for a limit in dollars that is not positive, or for which a price is missing."""
    if max_usd is not None and not max_usd > 0:
        raise UsageError(f"{option} {max_usd}: must be more than 0")
    if max_usd is not None and team_config.unpriced:
        name = team_config.unpriced[0]
        raise UsageError(
            f"no price is known for {name}, so {option} means nothing; "
            f'give --prices FILE, or a --team file with [prices."{name}"] prompt_usd_per_mtok = …, '
            "completion_usd_per_mtok = …"
        )


def old_prices(team_config: TeamConfig, today: date) -> list[str]:
    """A sentence for each price of the team's models that is older than ``MAX_PRICE_AGE_MONTHS``."""
    sentences = []
    for name, price in team_config.used_prices.items():
        months = int((today - price.date).days / DAYS_PER_MONTH) if price.date is not None else 0
        if months > MAX_PRICE_AGE_MONTHS:
            where = f" at {price.source}" if price.source else ""
            sentences.append(f"the price of {name} is of {price.date}, {months} months old; check it{where}")
    return sentences


def forecast_cost(
    question: Question, video: Video, team_config: TeamConfig, settings: RolloutSettings
) -> tuple[CostForecast, ...]:
    """Return the most that each agent may use, and last the most in total.

    The total is less than the sum, because a round that looks does not relocate.
    """
    actions = settings.max_rounds - 1
    timeline = video.timeline
    grounding = _grounding_usage(question, timeline, team_config, settings) if settings.has_grounding else Usage()
    look = _look_usage(team_config, settings) if settings.has_vision else Usage()
    master = _master_usage(question, timeline, team_config, settings)
    usages: dict[AgentName, Usage] = {
        "master": master,
        "grounding": _times(grounding, settings.max_rounds),
        "vision": _times(look, actions),
    }
    agents = team_config.agents
    forecasts = [
        CostForecast(name, agents[name].label, usage, usd_of(agents[name], usage, team_config))
        for name, usage in usages.items()
    ]
    larger = Usage(*(max(pair) for pair in zip(astuple(grounding), astuple(look), strict=True)))
    prices = [each.usd for each in forecasts]
    usd = None if None in prices else sum(price for price in prices if price is not None)
    return (*forecasts, CostForecast(TOTAL, "", master + grounding + _times(larger, actions), usd))


def forecast_grounding(question: Question, timeline: Timeline, team_config: TeamConfig) -> CostForecast:
    """Return the most that locating the first clip of a question may use."""
    usage = _grounding_usage(question, timeline, team_config, RolloutSettings(max_rounds=1))
    agent = team_config.grounding
    return CostForecast("grounding", agent.label, usage, usd_of(agent, usage, team_config))


def sum_forecasts(forecasts: Iterable[CostForecast]) -> CostForecast:
    """The sum of some forecasts, under the name of the first. Its ``usd`` is None if one has no price."""
    first, *others = forecasts
    for other in others:
        usd = None if first.usd is None or other.usd is None else first.usd + other.usd
        first = replace(first, max_usage=first.max_usage + other.max_usage, usd=usd)
    return first


def _master_usage(question: Question, timeline: Timeline, team_config: TeamConfig, settings: RolloutSettings) -> Usage:
    master = team_config.master
    if master.spec.is_offline:
        return Usage(calls=settings.max_rounds)
    reply = team_config.call_settings("master").max_tokens
    window = _longest_window(timeline, settings)
    layout = team_config.read_layout()
    first_message = render_first_message(Trace(question, settings, window), layout, team_config.look_tag)
    observation = max(_tokens(render_observation(window, layout)), _look_tokens(team_config) * settings.parallel_looks)
    growth = observation + (0 if team_config.style in (Style.ACCUMULATED, Style.RAW) else reply)
    rounds = settings.max_rounds
    prompts = rounds * _tokens(first_message) + growth * rounds * (rounds - 1) // 2
    in_loop = Usage(rounds, prompts, rounds * reply)
    return in_loop + _reader_usage(question, timeline, team_config, settings) if team_config.is_reader else in_loop


def _reader_usage(question: Question, timeline: Timeline, team_config: TeamConfig, settings: RolloutSettings) -> Usage:
    """Of a reader's calls before it may turn out that the loop must answer."""
    lines = sorted((len(line.text.encode("utf-8", "replace")) for line in timeline.subtitles), reverse=True)
    shown = sum(lines[: NUM_WINDOWS * WINDOW_LINES]) + BYTES_PER_TIMED_LINE * NUM_WINDOWS * WINDOW_LINES
    looks = (
        (settings.max_rounds - 1) * settings.parallel_looks * _look_tokens(team_config) if settings.has_vision else 0
    )
    question_tokens = _tokens("\n".join([READER_PROMPT, question.text, *question.options]))
    return Usage(2, 2 * (question_tokens + math.ceil(shown / BYTES_PER_TOKEN) + looks), 2 * MAX_REPLY_TOKENS)


def _grounding_usage(
    question: Question, timeline: Timeline, team_config: TeamConfig, settings: RolloutSettings
) -> Usage:
    """One grounding, with the second call that corrects the label."""
    if team_config.grounding.spec.is_offline:
        return Usage(calls=1)
    sheets = 0 if timeline.subtitles else math.ceil(len(timeline.clips) / CLIPS_PER_SHEET)
    request = _tokens("\n".join([question.text, *question.options])) + TOKENS_PER_REQUEST
    labels = _tokens(", ".join(clip.label for clip in timeline.clips))  # the correction lists them
    visited = TOKENS_PER_VISITED_CLIP * settings.max_rounds + labels
    layout = team_config.read_layout()
    prompts = (layout.grounding_prompt, layout.regrounding_prompt)
    prompt = max(_grounding_prompt_tokens(each, timeline) for each in prompts) + request + visited
    reply = team_config.call_settings("grounding").max_tokens
    images = sheets * tokens_per_image(team_config.grounding, team_config)
    return _times(Usage(1, prompt + images + reply, reply, sheets), CALLS_PER_GROUNDING)


def _grounding_prompt_tokens(prompt: str, timeline: Timeline) -> int:
    """Of a grounding prompt with the subtitles that it shows."""
    blocks = {"subtitles": subtitle_block, "raw_subtitles": raw_subtitle_block}
    shown = [block(timeline) for name, block in blocks.items() if name in template_fields(prompt)]
    return _tokens(prompt) + sum(map(_tokens, shown))


def _look_usage(team_config: TeamConfig, settings: RolloutSettings) -> Usage:
    agent = team_config.vision
    if agent.spec.is_offline:
        return Usage(calls=settings.parallel_looks)
    images = agent.max_frames
    if agent.frame_numbers is not None:
        first, last, step = agent.frame_numbers
        images = len(range(first, last + 1, step)) * settings.window
    longer = _tokens(team_config.read_layout().vision_prompt) - _tokens(default_layout().vision_prompt)
    prompt = images * tokens_per_image(agent, team_config) + TOKENS_PER_LOOK_PROMPT + max(0, longer)
    return _times(Usage(1, prompt, _look_tokens(team_config), images), settings.parallel_looks)


def _look_tokens(team_config: TeamConfig) -> int:
    is_offline = team_config.vision.spec.is_offline
    return TOKENS_PER_OFFLINE_LOOK if is_offline else team_config.call_settings("vision").max_tokens


def _longest_window(timeline: Timeline, settings: RolloutSettings) -> ClipObservation:
    """The window with the longest subtitles, as if it had been located."""
    if not settings.has_grounding:
        whole = timeline.as_single_clip()
        return ClipObservation(whole, (whole,))
    windows = [ClipObservation(clip, timeline.window(clip, settings.window)) for clip in timeline.clips]
    return max(windows, key=lambda located: len(render_located(located)))


def tokens_per_image(agent: AgentConfig, team_config: TeamConfig) -> int:
    """The tokens that an agent's model counts for an image: as its price states, or ``TOKENS_PER_IMAGE``."""
    price = team_config.prices.get(agent.spec.name)
    return (price and price.tokens_per_image) or TOKENS_PER_IMAGE


def usd_of(agent: AgentConfig, usage: Usage, team_config: TeamConfig) -> float | None:
    """The most that an agent's calls cost; None if no price is known. Without a price, a model on this machine is
    free."""
    if not agent.spec.needs_price:
        return 0.0
    price = team_config.prices.get(agent.spec.name)
    if price is not None:
        return price.max_usd(usage)
    return 0.0 if agent.spec.is_on_this_machine else None


def _tokens(text: str) -> int:
    return math.ceil(len(text.encode("utf-8", "replace")) / BYTES_PER_TOKEN)


def _times(usage: Usage, count: int) -> Usage:
    return Usage(*(count * value for value in astuple(usage)))
