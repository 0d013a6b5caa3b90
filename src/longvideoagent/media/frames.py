"""One frame of a video, as pixels or as JPEG."""

from __future__ import annotations

import warnings
from copy import copy
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from longvideoagent.errors import DataError

Pixels = NDArray[np.uint8]
"""RGB, shape (height_px, width_px, 3)."""

warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limits here are lower
JPEG_QUALITY = 85
START_OF_IMAGE, END_OF_IMAGE = b"\xff\xd8", b"\xff\xd9"
MAX_TRAILER_BYTES = 1024
"""Bytes that some writers add after the end of the image."""
FORMATS = ("JPEG", "PNG", "WEBP")
"""What a stored frame may be; other formats can run programs or read other files."""
MAX_JPEG_PIXELS, MAX_OTHER_PIXELS = 4096 * 4096, 4096 * 2304
"""Of a stored frame. A large JPEG is scaled down while it is decoded."""
MAX_SIDE_PX = 768
"""Frames are scaled down to this longer side (published vision models tile at about this size)."""


def is_complete_jpeg(begins: bytes, ends: bytes) -> bool:
    """Whether a file with these first and last bytes can be a complete JPEG."""
    return begins.startswith(START_OF_IMAGE) and END_OF_IMAGE in ends


class Frame:
    """A frame and the time in seconds at which it is shown.

    It holds either decoded pixels or stored JPEG bytes. Stored bytes are returned as they are, never decoded and
    encoded again.
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
        """The pixels, scaled down to ``max_side_px``. Raises DataError if the stored bytes are not an image."""
        if self._rgb is None:
            try:
                with Image.open(BytesIO(self._jpeg or b""), formats=FORMATS) as image:
                    max_pixels = MAX_JPEG_PIXELS if image.format == "JPEG" else MAX_OTHER_PIXELS
                    if image.width * image.height > max_pixels:
                        size = f"{image.width}x{image.height}"
                        raise DataError(f"{self._name}: {size} pixels are too many; make it smaller")
                    image.draft("RGB", (self._max_side_px, self._max_side_px))
                    image.thumbnail((self._max_side_px, self._max_side_px), Image.Resampling.BOX)
                    self._rgb = np.asarray(image.convert("RGB"))
            except (OSError, SyntaxError, Image.DecompressionBombError) as error:
                raise DataError(f"{self._name}: not a readable JPEG; extract this frame again") from error
        return self._rgb

    def shifted(self, by_s: float) -> Frame:
        """The same frame, shown ``by_s`` later."""
        frame = copy(self)
        frame.time_s += by_s
        return frame

    def is_readable(self) -> bool:
        """Whether the frame can be decoded: False for a damaged JPEG of a frame folder."""
        try:
            self.rgb()
        except DataError:
            return False
        return True

    def is_complete(self) -> bool:
        """Whether stored bytes can be a complete JPEG. Nothing is decoded."""
        if self._jpeg is None:
            return True
        return is_complete_jpeg(self._jpeg, self._jpeg[-MAX_TRAILER_BYTES:])

    def jpeg(self) -> bytes:
        """The frame as a JPEG file."""
        if self._jpeg is None:
            out = BytesIO()
            Image.fromarray(self.rgb()).save(out, "JPEG", quality=JPEG_QUALITY)
            self._jpeg = out.getvalue()
        return self._jpeg
