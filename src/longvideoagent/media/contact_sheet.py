"""Contact sheets: a grid of thumbnails, one for each clip, with its label and start time."""

from __future__ import annotations

from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.types import Jpeg, Timeline
from longvideoagent.media.frames import JPEG_QUALITY
from longvideoagent.media.readers.base import VideoReader

COLUMNS, ROWS = 6, 6
CLIPS_PER_SHEET = COLUMNS * ROWS
THUMBNAIL_PX = 200


def contact_sheets(video: VideoReader, timeline: Timeline) -> tuple[Jpeg, ...]:
    """Return sheets of up to 36 clips each, in order; the frame at its middle stands for a clip."""
    frames = video.frames([(clip.start_s + clip.end_s) / 2 for clip in timeline.clips], THUMBNAIL_PX)
    sheets = []
    for first in range(0, len(frames), CLIPS_PER_SHEET):
        indices = range(first, min(first + CLIPS_PER_SHEET, len(frames)))
        height = -(-len(indices) // COLUMNS) * THUMBNAIL_PX
        sheet = Image.new("RGB", (COLUMNS * THUMBNAIL_PX, height), "black")
        draw = ImageDraw.Draw(sheet)
        for cell, index in enumerate(indices):
            x, y = cell % COLUMNS * THUMBNAIL_PX, cell // COLUMNS * THUMBNAIL_PX
            if frames[index].is_readable():
                sheet.paste(Image.fromarray(frames[index].rgb()), (x, y))
            label = f"{timeline.clips[index].label}  {format_timestamp(timeline.clips[index].start_s)}"
            draw.rectangle((x, y, x + THUMBNAIL_PX, y + 24), fill="black")
            draw.text((x + 4, y + 2), label, font=ImageFont.load_default(18), fill="white")
        out = BytesIO()
        sheet.save(out, "JPEG", quality=JPEG_QUALITY)
        sheets.append(Jpeg(out.getvalue()))
    return tuple(sheets)
