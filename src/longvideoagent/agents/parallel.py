"""One look at several windows at the same time: the current clip's and those of the next candidates."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from longvideoagent.core.rollout import VisionRequest
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.types import Clip, Usage, VisionResult
from longvideoagent.errors import ModelError
from longvideoagent.models.base import charge, failed_usage


async def look_in_parallel(
    request: VisionRequest, look: Callable[[VisionRequest], Awaitable[VisionResult]]
) -> VisionResult:
    """Look at all windows of the request at once; return what they show up to the first that shows the query.

    The windows are ordered, the likeliest first; looks at later ones are cancelled. Raises ModelError if a look
    before the first hit fails.
    """
    if not request.candidate_windows:
        return await look(request)
    windows = (request.window, *request.candidate_windows)
    looks = [asyncio.ensure_future(look(replace(request, window=window, candidate_windows=()))) for window in windows]
    results: list[VisionResult] = []
    failure: ModelError | None = None
    try:
        for task in looks:
            results.append(await task)
            if results[-1].is_found:
                break
    except ModelError as error:
        failure = error
    finally:
        for task in looks:
            task.cancel()
        ended = await asyncio.gather(*looks, return_exceptions=True)
    later = ended[len(results) :]
    spent = sum((_usage(each) for each in later if each is not failure), Usage())
    if failure is not None:
        raise charge(failure, sum((result.usage for result in results), spent))
    return _merge(windows, results, spent)


def _usage(end: VisionResult | BaseException) -> Usage:
    """What a look has cost. A server may have started one that was cancelled, so it counts as a call."""
    if isinstance(end, VisionResult):
        return end.usage
    return Usage(calls=1) + (failed_usage(end) if isinstance(end, ModelError) else Usage())


def _merge(windows: Sequence[tuple[Clip, ...]], results: Sequence[VisionResult], later: Usage) -> VisionResult:
    """Put each text under the label of its window; ``later`` is the usage of the looks after the last result."""
    texts = [f"{_title(window)}\n{result.text}" for window, result in zip(windows, results, strict=False)]
    evidence = tuple(dict.fromkeys(each for result in results for each in result.evidence))
    usage = sum((result.usage for result in results), later)
    boxes = "\n".join(result.boxes for result in results if result.boxes)
    warnings = tuple(dict.fromkeys(warning for result in results for warning in result.warnings))
    is_found = any(result.is_found for result in results)
    return VisionResult("\n\n".join(texts), evidence, usage, is_found, boxes, warnings)


def _title(clips: Sequence[Clip]) -> str:
    labels = ", ".join(clip.label for clip in clips)
    return f"In {labels} ({format_timestamp(clips[0].start_s)} to {format_timestamp(clips[-1].end_s)}):"
