"""Videos whose clock, frames or names are odd, and files that pose as videos."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.plugins.media import shade

TS_PACKET = 188
CLOCK_HZ = 90_000


def edit_ts_times(path: Path, edit: Callable[[int, int], int]) -> None:
    """Give each timestamp of the video packets of an MPEG-TS file another value: ``edit(number, ticks)``."""
    data, number = bytearray(path.read_bytes()), -1
    for offset in range(0, len(data), TS_PACKET):
        if not data[offset + 1] & 0x40:  # no packet of the stream starts here
            continue
        start = offset + 4 + (1 + data[offset + 4] if data[offset + 3] & 0x20 else 0)
        if data[start : start + 3] != b"\0\0\1" or not 0xE0 <= data[start + 3] <= 0xEF:
            continue
        number += 1
        flags = data[start + 7]
        for at in [start + 9] * bool(flags & 0x80) + [start + 14] * (flags & 0xC0 == 0xC0):
            a, b, c, d, e = data[at : at + 5]
            ticks = (a >> 1 & 7) << 30 | b << 22 | c >> 1 << 15 | d << 7 | e >> 1
            new = edit(number, ticks) % (1 << 33)
            data[at : at + 5] = bytes(
                (
                    a & 0xF1 | new >> 30 << 1,
                    new >> 22 & 255,
                    new >> 15 << 1 & 255 | 1,
                    new >> 7 & 255,
                    new << 1 & 255 | 1,
                )
            )
    path.write_bytes(data)


def write_film(
    path: Path,
    num_frames: int = 150,
    codec: str = "libx264",
    *,
    size: tuple[int, int] = (64, 48),
    aspect: Fraction = Fraction(1),
    **options: str,
) -> None:
    """Frames at 25 a second whose brightness is ``shade(number)``, in the clock of the container. ``options`` are the
    encoder's."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25, options={key.replace("_", "-"): options[key] for key in options})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = *size, "yuv420p", 12
        stream.codec_context.sample_aspect_ratio = aspect
        for number in range(num_frames):
            frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), shade(number), np.uint8), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())


def remux(source: Path, path: Path, edit: Callable[[int, av.Packet[av.VideoStream]], None]) -> None:
    """Copy the video packets, each after ``edit(number, packet)``."""
    with av.open(str(source)) as given, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(given.streams.video[0])
        packets = [packet for packet in given.demux(given.streams.video[0]) if packet.dts is not None]
        for number, packet in enumerate(packets):
            edit(number, packet)
            packet.stream = stream
            output.mux(packet)


def write_with_sound(path: Path, frame_times_s: Sequence[float], sound_s: float) -> None:
    """Frames at these times, and a tone from 0 on that lasts ``sound_s``."""
    hz = 48_000
    with av.open(str(path), "w") as output:
        video, audio = output.add_stream("libx264", rate=25), output.add_stream("aac", rate=hz, layout="mono")
        assert isinstance(video, av.VideoStream)
        assert isinstance(audio, av.AudioStream)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for number, time_s in enumerate(frame_times_s):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade(number), np.uint8), "rgb24")
            frame.pts, frame.time_base = round(time_s * 25), Fraction(1, 25)
            output.mux(video.encode(frame))
        output.mux(video.encode())
        for start in range(0, int(sound_s * hz), 1024):
            tone = (np.sin(np.arange(start, start + 1024) / 20) * 0.3).astype(np.float32)[None]
            part = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            part.sample_rate, part.pts, part.time_base = hz, start, Fraction(1, hz)
            output.mux(audio.encode(part))
        output.mux(audio.encode())


def empty_png(width: int, height: int) -> bytes:
    """A black PNG, which is small however many pixels it has."""
    compressor, row = zlib.compressobj(9), bytes(1 + 3 * width)
    pixels = b"".join([compressor.compress(row) for _ in range(height)]) + compressor.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def write_png_film(path: Path, pictures: Sequence[bytes], size: tuple[int, int] = (64, 48)) -> None:
    """One PNG a second; the container says ``size``."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("png", rate=1)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = "rgb24"
        for number, picture in enumerate(pictures):
            packet = av.Packet(picture)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 1)
            packet.is_keyframe = True
            output.mux(packet)


def fake_videos(host: str) -> dict[str, bytes]:
    """Contents that lead FFmpeg to other files or to ``host``, by the kind of list that they are."""
    media = f'<Representation id="1"><BaseURL>http://{host}/a.mp4</BaseURL></Representation>'
    port = host.rpartition(":")[2]
    return {
        "ffconcat": f"ffconcat version 1.0\nfile 'real.mp4'\nfile 'http://{host}/a.mp4'\n".encode(),
        "m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://{host}/a.ts\n#EXT-X-ENDLIST\n".encode(),
        "m3u8 of files": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nreal.mp4\n#EXT-X-ENDLIST\n",
        "mpd": (
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
            f'mediaPresentationDuration="PT9S"><Period><AdaptationSet>{media}</AdaptationSet></Period></MPD>'
        ).encode(),
        "sdp": (
            f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n"
            "a=rtpmap:96 H264/90000\n"
        ).encode(),
        "rtsp": f"rtsptext\nrtsp://{host}/a\n".encode(),
        "png": empty_png(64, 48),
        "text": b"1\n00:00:01,000 --> 00:00:02,000\nhello\n",
    }
