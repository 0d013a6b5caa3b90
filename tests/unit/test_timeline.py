from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.core.types import Clip, Subtitle, Timeline, TimeSpan
from longvideoagent.media.timeline import MAX_CUE_S, build_timeline, find_silence

spans = st.tuples(st.floats(0, 1500), st.floats(0.05, 40))
cues = st.lists(spans, max_size=120).map(
    lambda found: [Subtitle(start_s, start_s + length_s, "x") for start_s, length_s in sorted(found)]
)


@given(st.floats(0.5, 1500), cues, st.lists(st.floats(0, 1500), max_size=100).map(sorted))
def test_clips_cover_video_and_never_cut_a_cue(
    duration_s: float, lines: list[Subtitle], keyframes_s: list[float]
) -> None:
    lines = [line for line in lines if line.start_s < duration_s]
    clips = build_timeline(duration_s, lines, keyframes_s).clips
    assert clips[0].start_s == 0.0
    assert clips[-1].end_s == duration_s
    assert all(a.end_s == b.start_s for a, b in pairwise(clips))
    assert all(clip.start_s < clip.end_s for clip in clips)
    assert [line for clip in clips for line in clip.subtitles] == lines
    for clip in clips[1:]:
        crossing = [line for line in lines if line.start_s < clip.start_s < line.end_s]
        assert all(line.end_s - line.start_s > MAX_CUE_S for line in crossing)


@given(st.floats(100, 5000))
def test_clips_are_about_a_minute(duration_s: float) -> None:
    lengths = [clip.end_s - clip.start_s for clip in build_timeline(duration_s).clips]
    assert all(45 <= length <= 90 for length in lengths)


def test_short_video_is_one_clip() -> None:
    assert [clip.label for clip in build_timeline(41.0).clips] == ["c01"]


def test_labels_sort_in_time_order() -> None:
    labels = [clip.label for clip in build_timeline(8000.0).clips]
    assert labels == sorted(labels)
    assert len(labels) > 100


def test_cut_in_pause_on_keyframe() -> None:
    lines = [Subtitle(t, t + 1.9, "x") for t in range(0, 50, 2)] + [
        Subtitle(t, t + 1.9, "x") for t in range(56, 120, 2)
    ]
    clips = build_timeline(120.0, lines, [0.0, 40.0, 51.0, 53.5, 60.0]).clips
    assert clips[0].end_s == 53.5


def test_cut_in_silence_without_subtitles() -> None:
    assert build_timeline(120.0, silence=[TimeSpan(66.0, 68.0)]).clips[0].end_s == 67.0


def test_silence(tmp_path: Path) -> None:
    path = tmp_path / "v.mkv"
    rate = 8000
    tone = (8000 * np.sin(np.arange(rate * 6) * 0.3)).astype(np.int16)
    tone[rate * 2 : rate * 4] = 0
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=rate, layout="mono")
        for start in range(0, len(tone), 800):
            frame = av.AudioFrame.from_ndarray(tone[None, start : start + 800], format="s16", layout="mono")
            frame.rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert find_silence(path) == [(2.0, 4.0)]


def test_silence_audio_format_changes_within_file(tmp_path: Path) -> None:
    parts = []
    for layout in ("stereo", "mono"):
        path = tmp_path / f"{layout}.ts"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mp2", rate=32000, layout=layout)
            for start in range(0, 32000, 1152):
                level = np.full((1, 1152 * (2 if layout == "stereo" else 1)), 5000, np.int16)
                frame = av.AudioFrame.from_ndarray(level, format="s16", layout=layout)
                frame.rate, frame.pts = 32000, start
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        parts.append(path.read_bytes())
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join(parts))
    assert isinstance(find_silence(both), list)


def test_timeline_invalid_clips_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Timeline(())
    with pytest.raises(ValueError, match="share a label"):
        Timeline((Clip("a", 0, 1), Clip("a", 1, 2)))


def test_timeline_clip_at_time() -> None:
    timeline = Timeline((Clip("a", 0, 10), Clip("b", 10, 20)))
    assert [timeline.clip_at(time_s).label for time_s in (-1, 0, 9.9, 10, 99)] == ["a", "a", "a", "b", "b"]
