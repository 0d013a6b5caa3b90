"""Builds what a question about a video needs, part by part, and keeps each part in the video's index.

``IndexBuilder`` asks the index for a part first, and reads the video only for what it lacks.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from longvideoagent.core.types import Timeline
from longvideoagent.errors import DataError
from longvideoagent.index.location import media_version
from longvideoagent.index.screen_text import Coverage, read_screen_text, screen_key
from longvideoagent.index.speech import transcript, transcript_keys
from longvideoagent.index.stored_text import (
    StepCost,
    StoredText,
    TextKind,
    TextSummary,
    VideoFacts,
    read_clips,
    read_facts,
    read_summaries,
    read_text,
    write_clips,
    write_facts,
    write_text,
)
from longvideoagent.index.video_index import VideoIndex
from longvideoagent.media import isolation, speech
from longvideoagent.media.container import has_audio
from longvideoagent.media.readers.base import VideoReader, needs_packet_times
from longvideoagent.media.subtitles import ChosenSubtitles, SubtitleOptions, choose_subtitles, find_sidecars
from longvideoagent.media.subtitles.languages import system_language
from longvideoagent.media.timeline import find_cuts, find_silence, timeline_of_cuts
from longvideoagent.progress import Progress


class IndexBuilder:
    """Reads a video into its index. Create one for each time that a video is opened."""

    def __init__(self, reader: VideoReader, index: VideoIndex, options: SubtitleOptions, progress: Progress) -> None:
        self._reader, self._index, self._options, self._progress = reader, index, options, progress
        self.warnings: list[str] = []
        """What was ignored or repaired, and what could not be read."""
        self.coverage: Coverage | None = None
        """How much of the text on screen was read, if the text is from the screen."""
        self.facts = self._facts()
        self.warnings += self.facts.warnings

    def text(self, max_frames: int | None) -> StoredText:
        """The text of the video: the first of its subtitles, its speech and its screen that has any. Of the screen, at
        most ``max_frames`` frames are sampled, None for all."""
        text = self._subtitles()
        self.warnings += text.warnings
        if not text.lines and self.facts.has_audio:
            text = self._speech() or text
        if not text.lines:
            read = read_screen_text(self._reader, self._index, self.facts.duration_s, self._progress, max_frames)
            text, self.coverage = read.text, read.coverage
        return text

    def timeline(self, text: StoredText) -> Timeline:
        """The clips of the video with the lines of a text. Those of a video without speech are cut where it is silent,
        and stay as they are while more of its screen is read."""
        cuts_s = self._index.build_once(
            lambda: read_clips(self._index, text, media_version()) or None,
            lambda: self._cuts(text),
            lambda cuts, _: write_clips(self._index, text, media_version(), cuts),
            self._progress,
        )
        return replace(timeline_of_cuts(cuts_s, text.lines, text.language), has_audio=self.facts.has_audio)

    def _cuts(self, text: StoredText) -> tuple[float, ...]:
        is_screen = text.kind is TextKind.SCREEN
        silence = find_silence(self._reader.path) if is_screen and self.facts.has_audio else []
        lines = () if is_screen else text.lines
        return find_cuts(self.facts.duration_s, lines, self._reader.keyframes_s, silence)

    def _facts(self) -> VideoFacts:
        key, name = media_version(), self._reader.path.name
        facts = self._index.build_once(
            lambda: read_facts(self._index, key, name),
            self._read_facts,
            lambda facts, seconds: write_facts(
                self._index, key, name, facts, StepCost("length", "all packets", seconds)
            ),
            self._progress,
        )
        if facts.needs_packet_times:
            self._reader.duration_s  # noqa: B018 (reads the times by which the reader finds frames)
        return facts

    def _read_facts(self) -> VideoFacts:
        path, duration_s = self._reader.path, self._reader.duration_s
        has_sound = path.is_file() and has_audio(path)
        return VideoFacts(duration_s, has_sound, needs_packet_times(self._reader), tuple(self._reader.warnings))

    def _subtitles(self) -> StoredText:
        key = _subtitles_key(self._reader.path, self._options)

        def choose() -> StoredText:
            arguments = self._reader.path, self._options, self.facts.duration_s
            chosen = isolation.READING.run(_choose_subtitles, *arguments)
            return StoredText(TextKind.SUBTITLES, key, tuple(chosen.subtitles), chosen.source, chosen.warnings)

        return self._index.build_once(
            lambda: read_text(self._index, TextKind.SUBTITLES, key),
            choose,
            lambda text, seconds: write_text(
                self._index, text, StepCost("subtitles", text.source or "there are none", seconds)
            ),
            self._progress,
        )

    def _speech(self) -> StoredText | None:
        """The speech; None, with a warning, if it cannot be transcribed."""
        path = self._reader.path
        if not speech.is_installed():
            commands = f"pip install 'longvideoagent[asr]' and lva transcribe {shlex.quote(path.name)}"
            self.warnings.append(f"{path.name} has sound but no subtitles, so what is said is unknown; {commands}")
            return None
        try:
            spoken = transcript(self._index, path, speech.configured_model(), progress=self._progress)
        except DataError as error:
            self.warnings.append(f"{error} (the speech is not used)")
            return None
        self.warnings += spoken.warnings
        return spoken


def current_texts(index: VideoIndex, video: Path, options: SubtitleOptions) -> list[TextSummary]:
    """The stored text that a question about a video would be answered from, then the text on screen if that was read as
    well; empty if the video was not read yet."""
    texts = {(each.kind, each.key): each for each in read_summaries(index)}
    facts = read_facts(index, media_version(), video.name)
    if facts is None:
        return []
    subtitles = texts.get((TextKind.SUBTITLES, _subtitles_key(video, options)))
    keys = transcript_keys(index, speech.configured_model())
    spoken = next((texts[TextKind.SPEECH, key] for key in keys if (TextKind.SPEECH, key) in texts), None)
    screen = texts.get((TextKind.SCREEN, screen_key(facts.duration_s)))
    if subtitles is None:
        return []
    first = next((each for each in (subtitles, spoken) if each is not None and each.num_lines), None)
    return [each for each in (first, screen) if each is not None]


def _subtitles_key(video: Path, options: SubtitleOptions) -> str:
    """A digest of what decides which subtitles are read and how: the options, the state of the files, the language of
    the user, the name of the video, and the code."""
    sidecars = find_sidecars(video)
    files = [track.path for track in sidecars.tracks if track.path is not None]
    files += [path for path in (Path(name).expanduser() for name in options.tracks) if path.is_file()]
    parts = (
        media_version(),
        video.name,
        [str(name) for name in options.tracks],
        options.encoding,
        system_language(),
        [_state(path) for path in files],
        [str(name) for name in sidecars.unread],
    )
    return hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _state(path: Path) -> Sequence[object]:
    try:
        state = path.stat()
    except OSError:  # it was deleted just now
        return (path.name,)
    return str(path), state.st_size, state.st_mtime_ns


def _choose_subtitles(path: Path, options: SubtitleOptions, end_s: float) -> ChosenSubtitles:
    """``choose_subtitles``, which may open the video, without an argument that cannot be sent to a child process."""
    return choose_subtitles(path, options.tracks, end_s, isolation.report, options.encoding)
