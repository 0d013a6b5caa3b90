"""The API of videos: listed, brought, watched."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse

from longvideoagent.media.subtitles import subtitle_text
from longvideoagent.server.library import Kind, Library, NotHereError, VideoItem
from longvideoagent.server.playback.plan import opened, plays_as, start_of_stream, stream
from longvideoagent.server.playback.response import streamed
from longvideoagent.server.runs import clips_told
from longvideoagent.server.state import app_state
from longvideoagent.server.suggestions import suggestions
from longvideoagent.server.uploads import take_subtitles, take_video

router = APIRouter(prefix="/api", tags=["videos"])
LONGEST_VIDEO_S = 1e6
TimeS = Annotated[float, Query(ge=0, le=LONGEST_VIDEO_S, allow_inf_nan=False, description="Seconds in the video.")]
Name = Annotated[str, Query(min_length=1, max_length=500, description="The file's name.")]
SidePx = Annotated[int, Query(ge=16, le=1920, description="The longer side.")]
TYPES = {".webm": "video/webm", ".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/mp4"}
OTHER = "application/octet-stream"
KEPT_BY_BROWSERS = {"Cache-Control": "private, max-age=3600"}


def media_responses(*types: str) -> dict[int | str, dict[str, Any]]:
    """What a route's description says of what it sends."""
    return {200: {"content": {each: {} for each in types}}}


@router.get("/videos")
def list_videos(request: Request) -> dict[str, Any]:
    """The videos of the library; ``is_truncated`` where its folder holds more than is looked at."""
    library = app_state(request).library
    return {"videos": [_line(library, item) for item in library.videos()], "is_truncated": library.is_cut_short}


@router.post("/videos", status_code=201)
async def upload_video(request: Request, name: Name) -> dict[str, Any]:
    """Bring a video: the body is the file."""
    here = app_state(request)
    item = await take_video(here.library, name, request.stream(), here.max_upload_bytes)
    return _line(here.library, item)


@router.get("/videos/{video}")
def tell_video(request: Request, video: str) -> dict[str, Any]:
    """How long it is, and how a browser can play it."""
    library = app_state(request).library
    item = library.video(video)
    shown = opened(item.path)
    (first,) = shown.frames([0.0], 1920)[:1] or (None,)
    height_px, width_px = first.rgb().shape[:2] if first is not None and first.is_readable() else (0, 0)
    size = {"duration_s": shown.duration_s, "width_px": width_px, "height_px": height_px}
    return {**_line(library, item), **size, "playback_mode": str(plays_as(item.path))}


@router.post("/videos/{video}/subtitles")
async def upload_subtitles(request: Request, video: str, name: Name) -> dict[str, Any]:
    """Bring subtitles for a video: the body is the file. They are used instead of any others."""
    library = app_state(request).library
    item = await asyncio.to_thread(library.video, video)
    await take_subtitles(library, item, name, request.stream())
    return _line(library, item)


@router.get("/videos/{video}/timeline", responses={202: {"description": "It is being made ready."}})
async def tell_timeline(request: Request, video: str) -> JSONResponse:
    """Its clips, lines and suggested questions. The first time it may have to be made ready, which can take minutes
    where text is read off the screen; until then the status is 202, with what is being done."""
    here = app_state(request)
    item = await asyncio.to_thread(here.library.video, video)
    opening = here.video_cache.opening(item)
    if not await opening.is_done_within(WAIT_S):
        return JSONResponse({"stage": opening.doing, "fraction": opening.share}, 202)
    episode = await opening.episode()
    timeline = episode.timeline
    lines = [{"start_s": line.start_s, "end_s": line.end_s, "text": line.text} for line in timeline.subtitles]
    return JSONResponse(
        {
            "duration_s": timeline.duration_s,
            "text_source": episode.text_source,
            "warnings": list(episode.warnings),
            "clips": clips_told(timeline.clips),
            "subtitles": lines,
            "suggestions": await asyncio.to_thread(suggestions, item.path, timeline),
        }
    )


WAIT_S = 0.25
"""How long a request for a timeline waits, since most videos are ready within that."""


@router.get("/videos/{video}/file", response_class=FileResponse, responses=media_responses("video/*", OTHER))
def send_file(request: Request, video: str) -> FileResponse:
    """The file itself; ranges of it can be asked for."""
    item = app_state(request).library.video(video)
    if item.kind is Kind.FRAMES:
        raise NotHereError(f"{item.name}: a folder of frames and no file; ask for its stream")
    return FileResponse(item.path, media_type=TYPES.get(item.path.suffix.lower(), OTHER))


@router.get("/videos/{video}/stream", response_class=StreamingResponse, responses=media_responses("video/mp4"))
async def send_stream(request: Request, video: str, start_s: TimeS = 0.0) -> StreamingResponse:
    """Fragmented MP4 from there on, made while it is read; its own clock begins at 0."""
    item = await asyncio.to_thread(app_state(request).library.video, video)
    shown = await asyncio.to_thread(opened, item.path)
    plays = await asyncio.to_thread(plays_as, item.path)
    return await streamed(stream(shown, plays, start_s))


@router.get("/videos/{video}/stream/start")
def tell_start(request: Request, video: str, time_s: TimeS) -> dict[str, float]:
    """Where a stream has to begin to show that second: at most half a second before it."""
    item = app_state(request).library.video(video)
    return {"start_s": start_of_stream(opened(item.path), plays_as(item.path), time_s)}


@router.get("/videos/{video}/subtitles.vtt", response_class=Response, responses=media_responses("text/vtt"))
async def send_subtitles(request: Request, video: str) -> Response:
    """The video's lines as WebVTT, wherever they come from."""
    here = app_state(request)
    item = await asyncio.to_thread(here.library.video, video)
    episode = await here.video_cache.episode(item)
    return Response(subtitle_text(episode.timeline.subtitles, "vtt"), media_type="text/vtt")


@router.get("/videos/{video}/frame", response_class=Response, responses=media_responses("image/jpeg"))
def send_frame(request: Request, video: str, time_s: TimeS, side_px: SidePx = 320) -> Response:
    """The frame that is shown at that second, as JPEG."""
    item = app_state(request).library.video(video)
    frames = opened(item.path).frames([time_s], side_px)
    if not frames or not frames[0].is_readable():
        raise NotHereError(f"{item.name}: no frame near {time_s:.1f} s can be read")
    return Response(frames[0].jpeg(), media_type="image/jpeg", headers=KEPT_BY_BROWSERS)


def _line(library: Library, item: VideoItem) -> dict[str, Any]:
    return {
        "id": item.id,
        "name": item.name,
        "size_bytes": item.bytes,
        "kind": str(item.kind),
        "is_upload": item.is_upload,
        "has_uploaded_subtitles": library.added_subtitles(item) is not None,
    }
