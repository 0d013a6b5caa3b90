"""The API of videos: list, upload, play."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from longvideoagent.errors import UsageError
from longvideoagent.media.subtitles import subtitle_text
from longvideoagent.server.library import Library, LibraryVideo, NotFoundError, VideoKind
from longvideoagent.server.limits import MAX_NAME_CHARS
from longvideoagent.server.playback.plan import open_cached, playback_mode, stream, stream_start
from longvideoagent.server.playback.response import start_response
from longvideoagent.server.state import app_state
from longvideoagent.server.uploaded_files import delete_subtitles, delete_video, rename_subtitles, rename_video
from longvideoagent.server.uploads import save_subtitles, save_video

router = APIRouter(prefix="/api", tags=["videos"])
MAX_TIME_S = 1e6
TimeS = Annotated[float, Query(ge=0, le=MAX_TIME_S, allow_inf_nan=False, description="Seconds in the video.")]
FileName = Annotated[str, Query(min_length=1, max_length=500, description="The file's name.")]
SidePx = Annotated[int, Query(ge=16, le=1920, description="The longer side in pixels.")]
MEDIA_TYPES = {".webm": "video/webm", ".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/mp4"}
OTHER_MEDIA_TYPE = "application/octet-stream"
FRAME_HEADERS = {"Cache-Control": "private, max-age=3600"}
THUMBNAIL_TIME_S = 60.0
"""At most; a frame near the start of a long video is decoded sooner."""
THUMBNAIL_SIDE_PX = 128


class NewName(BaseModel):
    """A new name of an upload."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]


def media_responses(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of a route that sends one of these media types."""
    return {200: {"content": {media_type: {} for media_type in media_types}}}


@router.get("/videos")
def list_videos(request: Request) -> dict[str, Any]:
    """The videos of the library; ``is_truncated`` is true if its folder holds more files than are scanned."""
    library = app_state(request).library
    return {"videos": [_item_to_dict(library, item) for item in library.videos()], "is_truncated": library.is_truncated}


@router.post("/videos", status_code=201, responses={200: {"description": "The same content was uploaded before."}})
async def upload_video(request: Request, response: Response, name: FileName) -> dict[str, Any]:
    """Upload a video; the body is the file. If the same content was uploaded before, it is not kept again: the status
    is 200, and the reply is the earlier upload."""
    state = app_state(request)
    saved = await save_video(state.library, name, request.stream(), state.max_upload_bytes)
    response.status_code = 201 if saved.is_new else 200
    return {**_item_to_dict(state.library, saved.video), "is_new": saved.is_new}


@router.patch("/videos/{video}")
def rename_upload(request: Request, video: str, fields: NewName) -> dict[str, Any]:
    """Rename an uploaded video; its id stays."""
    library = app_state(request).library
    return _item_to_dict(library, rename_video(library, library.get_video(video), fields.name))


@router.delete("/videos/{video}", status_code=204)
async def delete_upload(request: Request, video: str) -> None:
    """Delete an uploaded video with its uploaded subtitles. The questions about it stay and can be read."""
    state = app_state(request)
    item = await asyncio.to_thread(state.library.get_video, video)
    if state.job_queue.is_asking(item.id):
        raise UsageError(f"{item.name}: a question about it is being answered; stop it first")
    await asyncio.to_thread(delete_video, state.library, item)


@router.get("/videos/{video}")
def get_video(request: Request, video: str) -> dict[str, Any]:
    """A video's duration, size, and how a browser can play it."""
    library = app_state(request).library
    item = library.get_video(video)
    reader = open_cached(item.path)
    first = next(iter(reader.frames([0.0], 1920)), None)
    height_px, width_px = first.rgb().shape[:2] if first is not None and first.is_readable() else (0, 0)
    return {
        **_item_to_dict(library, item),
        "duration_s": reader.duration_s,
        "width_px": width_px,
        "height_px": height_px,
        "playback_mode": str(playback_mode(item.path)),
    }


@router.post("/videos/{video}/subtitles")
async def upload_subtitles(request: Request, video: str, name: FileName) -> dict[str, Any]:
    """Upload subtitles of a video; the body is the file. They replace any other subtitles."""
    library = app_state(request).library
    item = await asyncio.to_thread(library.get_video, video)
    await save_subtitles(library, item, name, request.stream())
    return _item_to_dict(library, item)


@router.patch("/videos/{video}/subtitles")
def rename_uploaded_subtitles(request: Request, video: str, fields: NewName) -> dict[str, Any]:
    """Rename the uploaded subtitle file of a video."""
    library = app_state(request).library
    item = library.get_video(video)
    rename_subtitles(library, item, fields.name)
    return _item_to_dict(library, item)


@router.delete("/videos/{video}/subtitles")
def delete_uploaded_subtitles(request: Request, video: str) -> dict[str, Any]:
    """Delete the uploaded subtitle file of a video; those next to it or in it are used again."""
    library = app_state(request).library
    item = library.get_video(video)
    delete_subtitles(library, item)
    return _item_to_dict(library, item)


@router.get("/videos/{video}/file", response_class=FileResponse, responses=media_responses("video/*", OTHER_MEDIA_TYPE))
def get_file(request: Request, video: str) -> FileResponse:
    """The video file; range requests are supported."""
    item = app_state(request).library.get_video(video)
    if item.kind is VideoKind.FRAMES:
        raise NotFoundError(f"{item.name}: a folder of frames, not a file; request its stream")
    return FileResponse(item.path, media_type=MEDIA_TYPES.get(item.path.suffix.lower(), OTHER_MEDIA_TYPE))


@router.get("/videos/{video}/stream", response_class=StreamingResponse, responses=media_responses("video/mp4"))
async def get_stream(request: Request, video: str, start_s: TimeS = 0.0) -> StreamingResponse:
    """Fragmented MP4 that starts at a second of the video; its own timestamps start at 0."""
    item = await asyncio.to_thread(app_state(request).library.get_video, video)
    reader = await asyncio.to_thread(open_cached, item.path)
    mode = await asyncio.to_thread(playback_mode, item.path)
    return await start_response(stream(reader, mode, start_s))


@router.get("/videos/{video}/stream/start")
def get_stream_start(request: Request, video: str, time_s: TimeS) -> dict[str, float]:
    """Where a stream has to start to show a second of the video: at most half a second before it."""
    item = app_state(request).library.get_video(video)
    return {"start_s": stream_start(open_cached(item.path), playback_mode(item.path), time_s)}


@router.get("/videos/{video}/subtitles.vtt", response_class=Response, responses=media_responses("text/vtt"))
async def get_subtitles(request: Request, video: str) -> Response:
    """The video's subtitle lines as WebVTT, from whichever source."""
    state = app_state(request)
    item = await asyncio.to_thread(state.library.get_video, video)
    opened_video = await state.video_cache.video(item)
    return Response(subtitle_text(opened_video.timeline.subtitles, "vtt"), media_type="text/vtt")


@router.get("/videos/{video}/frame", response_class=Response, responses=media_responses("image/jpeg"))
def get_frame(request: Request, video: str, time_s: TimeS, side_px: SidePx = 320) -> Response:
    """The frame that is shown at a second of the video, as JPEG."""
    item = app_state(request).library.get_video(video)
    frames = open_cached(item.path).frames([time_s], side_px)
    if not frames or not frames[0].is_readable():
        raise NotFoundError(f"{item.name}: no frame near {time_s:.1f} s can be read")
    return Response(frames[0].jpeg(), media_type="image/jpeg", headers=FRAME_HEADERS)


@router.get("/videos/{video}/thumbnail", response_class=Response, responses=media_responses("image/jpeg"))
def get_thumbnail(request: Request, video: str) -> Response:
    """A small frame from the first tenth of the video, as JPEG."""
    item = app_state(request).library.get_video(video)
    reader = open_cached(item.path)
    frames = reader.frames([min(THUMBNAIL_TIME_S, reader.duration_s / 10)], THUMBNAIL_SIDE_PX)
    if not frames or not frames[0].is_readable():
        raise NotFoundError(f"{item.name}: no frame of it can be read")
    return Response(frames[0].jpeg(), media_type="image/jpeg", headers=FRAME_HEADERS)


def _item_to_dict(library: Library, item: LibraryVideo) -> dict[str, Any]:
    subtitles = library.uploaded_subtitles(item)
    return {
        "id": item.id,
        "name": item.name,
        "size_bytes": item.size_bytes,
        "kind": str(item.kind),
        "is_upload": item.is_upload,
        "has_uploaded_subtitles": subtitles is not None,
        "uploaded_subtitles": subtitles.name if subtitles is not None else None,
    }
