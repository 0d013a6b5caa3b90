"""Measure speed and memory, as ratios against the shortest code that does the same, in one run.

Writes an hour of 720p h264 with sound, then prints a Markdown table. Each ratio is the median of
several pairs measured in turn, because shared machines drift.

    python benchmarks/speed.py
"""

from __future__ import annotations

import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from longvideoagent.datasets.synthetic.episode import generate_episode
from longvideoagent.media.frames import MAX_SIDE_PX
from longvideoagent.media.readers.file import VideoFileReader
from longvideoagent.media.timeline import build_timeline, find_silence
from table import peak_mb, ratio, row, run_python, seconds

FRAMES_PER_S = 25
MINUTES = 60
CUES = 100_000
READ_SUBTITLES = (
    "import sys, time; from longvideoagent.media.subtitles import read_subtitles; started = time.process_time();"
    " kept = [read_subtitles(sys.argv[1]) for _ in range(10)]"
)
SHOW_HELP = (
    "import sys; sys.argv = ['lva', '--help']; from longvideoagent.cli.main import app; app(standalone_mode=False)"
)


def make_minute(path: Path) -> None:
    """Write one minute of moving 720p frames and a tone."""
    rng = np.random.default_rng(0)
    backdrop = rng.integers(0, 255, (45, 80, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    with av.open(str(path), "w") as container:
        video_stream = container.add_stream("libx264", rate=FRAMES_PER_S, options={"preset": "ultrafast", "crf": "30"})
        video_stream.width, video_stream.height, video_stream.pix_fmt = 1280, 720, "yuv420p"
        sound = container.add_stream("aac", rate=16000, layout="mono")
        for number in range(60 * FRAMES_PER_S):
            frame = np.roll(backdrop, number * 4, axis=1)
            container.mux(video_stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        tone = (0.3 * np.sin(np.arange(16000 * 60) * 0.2)).astype(np.float32)[None]
        tone[:, ::16000] = 0
        for start in range(0, tone.shape[1], 1024):
            part = av.AudioFrame.from_ndarray(np.ascontiguousarray(tone[:, start : start + 1024]), "fltp", "mono")
            part.rate, part.pts, part.time_base = 16000, start, Fraction(1, 16000)
            container.mux(sound.encode(part))
        container.mux(video_stream.encode())
        container.mux(sound.encode())


def make_hour(minute: Path, path: Path) -> None:
    """Write the minute sixty times, without encoding it again."""
    with av.open(str(path), "w") as container:
        streams: dict[int, av.VideoStream | av.AudioStream] = {}
        written: dict[int, int] = {}
        for number in range(MINUTES):
            with av.open(str(minute)) as source:
                for stream in (*source.streams.video, *source.streams.audio):
                    if stream.index not in streams:
                        copied = container.add_stream_from_template(stream)
                        assert isinstance(copied, av.VideoStream | av.AudioStream)
                        streams[stream.index] = copied
                for packet in source.demux():
                    if packet.dts is None or packet.pts is None or packet.time_base is None:
                        continue
                    shift, index = round(60 * number / packet.time_base), packet.stream.index
                    if packet.dts + shift <= written.get(index, -(10**9)):
                        continue  # the padding of the last sound packet runs into the next minute
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    written[index] = packet.dts
                    packet.stream = streams[index]
                    container.mux(packet)


def fetch_bare(path: Path, times_s: list[float]) -> int:
    """The shortest PyAV loop for frames at ascending times of one stretch: seek once, decode on."""
    num_found = 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        assert stream.time_base is not None
        container.seek(int(times_s[0] / stream.time_base), stream=stream)
        shown = None
        for frame in container.decode(stream):
            while num_found < len(times_s) and (frame.time or 0.0) > times_s[num_found] and shown is not None:
                shown.reformat(width=MAX_SIDE_PX, height=432, format="rgb24", interpolation="AREA").to_ndarray()
                num_found += 1
            if num_found == len(times_s):
                break
            shown = frame
    return num_found


def measure(folder: Path) -> None:
    """Measure and print all rows."""
    hour = folder / "hour.mp4"
    make_minute(folder / "minute.mp4")
    make_hour(folder / "minute.mp4", hour)
    row("what", "figure", "aim")
    row("---", "---", "---")
    times_s = [1800 + 4.0 * index for index in range(15)]
    figure = ratio(lambda: VideoFileReader(hour).frames(times_s), lambda: fetch_bare(hour, times_s), 7)
    row("15 frames of 60 s in the middle of an hour, against a bare loop", figure, "≤ 1.3x")
    figure = ratio(lambda: run_python(SHOW_HELP), lambda: run_python("import typer, rich"), 9)
    row("`lva --help` against importing typer and rich", figure, "≤ 2x")
    row("CPU to scan an hour for its timeline, with subtitles", _scan_share(hour, False), "< 2 % of playing time")
    row("the same without subtitles (sound decoded)", _scan_share(hour, True), "< 2 % of playing time")
    duration_s = seconds(lambda: generate_episode(folder / "sample", 1))
    size_mb = (folder / "sample" / "sample-1.mp4").stat().st_size / 1e6
    row("make a 20-minute sample episode", f"{duration_s:.1f} s, {size_mb:.1f} MB", "< 60 s, < 6 MB")
    row("read 1,000,000 subtitle cues in 10 files", _subtitle_cost(folder), "≤ 8 CPU-s, ≤ 400 MB")
    row("peak memory of asking an hour with subtitles, two looks", f"{_peak_mb(hour):.0f} MB", "< 700 MB")


def _scan_share(path: Path, with_sound: bool) -> str:
    def scan() -> None:
        video = VideoFileReader(path)
        build_timeline(video.duration_s, (), video.keyframes_s, find_silence(path) if with_sound else ())

    return f"{100 * seconds(scan, time.process_time) / (60 * MINUTES):.2f} %"


def _subtitle_cost(folder: Path) -> str:
    """CPU time and largest resident set of a process that reads a file ten times and keeps all its cues."""
    path = folder / "talk.srt"
    clocks = [f"{n // 1200:02}:{n // 20 % 60:02}:{3 * n % 60:02}" for n in range(CUES)]
    path.write_text(
        "\n".join(
            f"{n + 1}\n{clock},000 --> {clock},900\nMira: this is line {n} of the talk,\nand item {n % 97} is red\n"
            for n, clock in enumerate(clocks)
        )
    )
    cpu_s = float(run_python(READ_SUBTITLES + "\nprint(time.process_time() - started)", path))
    return f"{cpu_s:.1f} CPU-s, {peak_mb(READ_SUBTITLES, path):.0f} MB"


def _peak_mb(hour: Path) -> float:
    """Largest resident set in MB of ``lva ask`` in a separate process."""
    lines = [f"{n}\n00:{n:02}:05,000 --> 00:{n:02}:09,000\nMira: line {n} about item {n}\n" for n in range(MINUTES)]
    hour.with_suffix(".srt").write_text("\n".join(lines))
    code = (
        "import sys; sys.argv = ['lva', 'ask', sys.argv[1], 'What does the sign say after Mira speaks about item 31?',"
        " '-o', 'HARBOR', '-o', 'CASTLE', '--json'];"
        " from longvideoagent.cli.main import app; app(standalone_mode=False)"
    )
    return peak_mb(code, hour)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        measure(Path(scratch))
