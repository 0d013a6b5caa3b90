"""One look at several windows: the current clip's and those of the next likely clips, at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from longvideoagent.core.protocol import format_timestamp
from longvideoagent.core.rollout import VisionRequest
from longvideoagent.core.types import Clip, Usage, VisionResult


async def parallel_looks(
    request: VisionRequest, look: Callable[[VisionRequest], Awaitable[VisionResult]]
) -> VisionResult:
    """What the windows show, the likeliest first, up to the first that shows what was asked for; looks
    at the windows behind it are given up. Raises ModelError where one of those before it fails."""
    if not request.other_windows:
        return await look(request)
    windows = (request.clips, *request.other_windows)
    looks = [asyncio.ensure_future(look(VisionRequest(request.query, clips))) for clips in windows]
    seen: list[VisionResult] = []
    try:
        for under_way in looks:
            seen.append(await under_way)
            if seen[-1].is_found:
                break
    finally:
        for under_way in looks:
            under_way.cancel()
        ended = await asyncio.gather(*looks, return_exceptions=True)
    behind = ended[len(seen) :]
    spent = sum((each.usage for each in behind if isinstance(each, VisionResult)), Usage())
    # A server may have begun the looks that were given up, so they count as calls.
    given_up = Usage(calls=sum(not isinstance(each, VisionResult) for each in behind))
    return _merge(windows, seen, spent + given_up)


def _merge(windows: Sequence[tuple[Clip, ...]], seen: Sequence[VisionResult], more: Usage) -> VisionResult:
    """Each text under the label of its window; ``more`` is what the looks behind them cost."""
    told = [f"{_title(clips)}\n{each.text}" for clips, each in zip(windows, seen, strict=False)]
    evidence = tuple(dict.fromkeys(found for each in seen for found in each.evidence))
    usage = sum((each.usage for each in seen), more)
    return VisionResult("\n\n".join(told), evidence, usage, any(each.is_found for each in seen))


def _title(clips: Sequence[Clip]) -> str:
    labels = ", ".join(clip.label for clip in clips)
    return f"In {labels} ({format_timestamp(clips[0].start_s)} to {format_timestamp(clips[-1].end_s)}):"
