"""One frame of a video, as pixels or as JPEG, whichever is asked for."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from longvideoagent.errors import DataError

Pixels = NDArray[np.uint8]
"""RGB, shape (height_px, width_px, 3)."""

JPEG_QUALITY = 85
START_OF_IMAGE, END_OF_IMAGE = b"\xff\xd8", b"\xff\xd9"
LONGEST_TRAILER = 1024
"""Some writers add bytes behind the end of the image."""
MAX_SIDE_PX = 768
"""Frames are scaled down to this longer side (published vision models tile at about this size)."""


def is_complete_jpeg(begins: bytes, ends: bytes) -> bool:
    """Whether bytes that begin and end so can be a JPEG that was written to its end."""
    return begins.startswith(START_OF_IMAGE) and END_OF_IMAGE in ends


class Frame:
    """A frame and the second at which it is shown.

    It holds either decoded pixels or stored JPEG bytes. Stored bytes are handed out as they are and
    never decoded and encoded again.
    """

    def __init__(
        self,
        time_s: float,
        *,
        rgb: Pixels | None = None,
        jpeg: bytes | None = None,
        name: str = "",
        max_side_px: int = MAX_SIDE_PX,
    ) -> None:
        if (rgb is None) == (jpeg is None):
            raise ValueError("a frame holds either pixels or JPEG bytes")
        self.time_s = time_s
        self._rgb = rgb
        self._jpeg = jpeg
        self._name = name
        self._max_side_px = max_side_px

    def rgb(self) -> Pixels:
        """The pixels, scaled down to ``max_side_px``. Raises DataError where stored bytes are no picture."""
        if self._rgb is None:
            try:
                with Image.open(BytesIO(self._jpeg or b"")) as image:
                    image.draft("RGB", (self._max_side_px, self._max_side_px))
                    image.thumbnail((self._max_side_px, self._max_side_px), Image.Resampling.BOX)
                    self._rgb = np.asarray(image.convert("RGB"))
            except (OSError, SyntaxError, Image.DecompressionBombError) as error:
                raise DataError(f"{self._name}: not a readable JPEG; extract this frame again") from error
        return self._rgb

    def moved(self, by_s: float) -> Frame:
        """The same frame, shown so much later."""
        frame = Frame(
            self.time_s + by_s, rgb=self._rgb, jpeg=None if self._rgb is not None else self._jpeg, name=self._name
        )
        frame._jpeg, frame._max_side_px = self._jpeg, self._max_side_px
        return frame

    def is_readable(self) -> bool:
        """False for a broken JPEG of a frame folder."""
        try:
            self.rgb()
        except DataError:
            return False
        return True

    def is_complete(self) -> bool:
        """False where stored bytes cannot be a JPEG that was written to its end. Nothing is decoded."""
        if self._jpeg is None:
            return True
        return is_complete_jpeg(self._jpeg, self._jpeg[-LONGEST_TRAILER:])

    def jpeg(self) -> bytes:
        """The frame as a JPEG file."""
        if self._jpeg is None:
            out = BytesIO()
            Image.fromarray(self.rgb()).save(out, "JPEG", quality=JPEG_QUALITY)
            self._jpeg = out.getvalue()
        return self._jpeg
