"""``lva index`` and ``lva search``: read videos in advance, and search in what was read."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from longvideoagent.cli.options import Encoding, IndexDir, Isolate, Tracks
from longvideoagent.errors import EXIT_FAILED, DataError, LongVideoAgentError, UsageError

if TYPE_CHECKING:
    from longvideoagent.index.open import IndexedVideo
    from longvideoagent.index.visible_objects import Detector
    from longvideoagent.media.readers.base import VideoReader
    from longvideoagent.media.subtitles import SubtitleOptions
    from longvideoagent.models.sound_tagger import SoundTagger
    from longvideoagent.progress import Progress

app = typer.Typer(rich_markup_mode=None)
USUAL_SECONDS_PER_FRAME = 0.4
"""What reading the text of a frame takes, until it was measured."""
DECODING_CPU_SECONDS_PER_SECOND = 0.002
"""CPU time to decode a second of sound, as measured for AAC in stereo."""
MIN_NOTED_S = 2.0
"""What takes less is not said before it starts."""

VideoOrFolder = Annotated[Path, typer.Argument(help="A video, or a folder with videos, also in folders inside.")]
FramesPerS = Annotated[float, typer.Option(help="Frame rate of a folder of frames.", min=0.01)]


@app.command()
def index(
    video: VideoOrFolder,
    status: Annotated[bool, typer.Option("--status", help="Print what the indexes have; read nothing.")] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Delete the indexes.")] = False,
    screen: Annotated[
        bool, typer.Option("--screen", help="Read the text on screen also of videos with subtitles or speech.")
    ] = False,
    sound: Annotated[
        str | None,
        typer.Option(help="Also find sounds, by this tagger: the name of weights, or a folder; see docs/sound.md."),
    ] = None,
    max_frames: Annotated[
        int | None, typer.Option(help="Maximum number of frames of each video in which text on screen is read.", min=1)
    ] = None,
    objects: Annotated[
        str | None,
        typer.Option(
            help="Also look for objects in frames, by these weights, such as dfine-nano, or those of a folder."
        ),
    ] = None,
    subtitles: Tracks = None,
    encoding: Encoding = None,
    frames_per_s: FramesPerS = 3.0,
    _index_dir: IndexDir = None,
    _isolate: Isolate = False,
) -> None:
    """Read videos into their indexes in advance, so that questions about them need not wait."""
    from longvideoagent.cli.console import note, show_warnings
    from longvideoagent.cli.terminal import write_line
    from longvideoagent.media.subtitles import SubtitleOptions

    tracks = SubtitleOptions(subtitles or (), encoding)
    if status and drop:
        raise UsageError("lva index: --status and --drop exclude each other; give one of them")
    show_warnings()
    if not (status or drop):
        extent = _Extent(tracks, screen, max_frames, _tagger(sound), _detector(objects))
        if not _build(list(_readers(video, frames_per_s)), len(_video_paths(video)), extent):
            raise typer.Exit(EXIT_FAILED)
        return
    for reader in _readers(video, frames_per_s):
        if status:
            for line in _status_lines(reader, tracks):
                write_line(line)
        else:
            note(f"{reader.path}: {'dropped its index' if _drop(reader) else 'has no index'}")


@app.command()
def search(
    video: VideoOrFolder,
    words: Annotated[str, typer.Argument(help="Words that a line must have, in any inflection; or a text in quotes.")],
    subtitles: Tracks = None,
    encoding: Encoding = None,
    frames_per_s: FramesPerS = 3.0,
    _index_dir: IndexDir = None,
) -> None:
    """Find the lines of indexed videos that have these words: what is said, or shown on screen."""
    from longvideoagent.cli.console import note
    from longvideoagent.cli.terminal import write_line
    from longvideoagent.core.timefmt import format_timestamp
    from longvideoagent.index.build import current_texts
    from longvideoagent.index.open import open_index
    from longvideoagent.index.search import search_lines
    from longvideoagent.media.subtitles import SubtitleOptions

    if not words.strip():
        raise UsageError("lva search: no words; say what to find")
    tracks = SubtitleOptions(subtitles or (), encoding)
    num_found = 0
    for reader in _readers(video, frames_per_s):
        with open_index(reader) as opened:
            texts = current_texts(opened, reader.path, tracks)
            lines = [line for text in texts for line in search_lines(opened, text, words)]
        if not texts:
            note(opened.problem or f"{reader.path}: not indexed; lva index {reader.path} reads it")
        for line in sorted(lines, key=lambda line: line.start_s):
            num_found += 1
            write_line(f"{reader.path}  {format_timestamp(line.start_s)}  {line.text}")
    if not num_found:
        note(f"no line of the indexed videos has {words!r}")
        raise typer.Exit(EXIT_FAILED)


def _readers(video: Path, frames_per_s: float) -> "Iterator[VideoReader]":
    """The readers of a video, or of those in a folder. What is not readable is reported and left out; raises DataError
    if that is the only one."""
    from longvideoagent.cli.console import note
    from longvideoagent.media.readers.base import open_reader

    paths = _video_paths(video)
    for path in paths:
        try:
            reader = open_reader(path, frames_per_s)
        except LongVideoAgentError as error:
            if paths == [video]:
                raise
            note(f"warning: {error} (left out)")
        else:
            yield reader


def _video_paths(video: Path) -> list[Path]:
    from longvideoagent.media.readers.frame_folder import has_frames
    from longvideoagent.server.library import Library

    if not video.is_dir() or has_frames(video):
        return [video]
    library = Library(video.absolute(), video.absolute() / ".longvideoagent")
    found = [video / item.path.relative_to(video.absolute()) for item in library.videos()]
    if not found:
        raise DataError(f"{video}: no video in this folder; give one that has videos")
    return found


class _Extent(NamedTuple):
    """What is read of each video."""

    tracks: "SubtitleOptions"
    has_screen: bool
    """Whether the text on screen is read of videos that have other text, too."""
    max_frames: int | None
    """Of the text on screen; None: all."""
    tagger: "SoundTagger | None" = None
    """Finds the sounds; None: nobody listens."""
    detector: "Detector | None" = None
    """Finds objects; None: they are not looked for."""

    def num_left(self, indexed: "IndexedVideo") -> int:
        """How many frames remain to be read."""
        coverage = indexed.coverage
        if coverage is None:
            return 0
        wanted = coverage.num_slots if self.max_frames is None else min(self.max_frames, coverage.num_slots)
        return max(0, wanted - coverage.num_sampled)


def _build(readers: "Sequence[VideoReader]", num_videos: int, extent: _Extent) -> bool:
    """Read the videos, first all that is quick; whether all were read."""
    from longvideoagent.cli.console import note, progress_bar
    from longvideoagent.core.text import plural

    failed = num_videos - len(readers)
    quick: list[tuple[VideoReader, IndexedVideo]] = []
    if extent.tagger is not None:
        _note_sound_cost(readers, extent.tagger)
    with progress_bar() as progress:
        for reader in readers:
            indexed = _index(
                reader,
                extent._replace(max_frames=0),
                lambda stage, fraction, name=reader.path.name: progress(f"{name}: {stage}", fraction),
            )
            failed += indexed is None
            quick += [(reader, indexed)] if indexed is not None else []
    waiting = [(reader, each) for reader, each in quick if extent.num_left(each)]
    if waiting:
        num_left = sum(extent.num_left(each) for _, each in waiting)
        videos = f"{len(waiting)} of {len(readers)} {plural('video', len(readers))}"
        reason = "" if extent.has_screen else f", which {'has' if len(waiting) == 1 else 'have'} no subtitles,"
        note(
            f"reading the screen of {videos}{reason} takes up to {num_left} {plural('frame', num_left)}, "
            f"about {_duration(num_left * _seconds_per_frame(waiting))}"
        )
    for reader, indexed in quick:
        done: IndexedVideo | None = indexed
        with progress_bar() as progress:
            if extent.num_left(indexed):
                done = _index(reader, extent, progress)
            if done is not None and extent.detector is not None:
                done = done if _find_objects(reader, extent.detector, progress) else None
        if done is None:
            failed += 1
        else:
            _print_indexed(reader, extent.tracks, done)
            failed += bool(done.problem)
    return not failed


def _index(reader: "VideoReader", extent: _Extent, progress: "Progress") -> "IndexedVideo | None":
    """Read one video; None, with a note, if that is not possible."""
    from longvideoagent.cli.console import note
    from longvideoagent.index.open import index_scenes, index_screen_text, index_sounds, index_video

    try:
        if extent.tagger is not None:  # first, since speech is transcribed only where a voice is heard
            index_sounds(reader, extent.tagger, progress)
        indexed = index_video(reader, extent.tracks, progress, (), extent.max_frames)
        if extent.has_screen and indexed.coverage is None:
            duration_s = indexed.video.timeline.duration_s
            indexed = indexed._replace(coverage=index_screen_text(reader, duration_s, progress, extent.max_frames))
        if extent.has_screen:
            index_scenes(reader, progress)
        return indexed
    except UsageError:  # an option is wrong, for any video
        raise
    except LongVideoAgentError as error:
        note(f"error: {error}")
        return None


def _tagger(name: str | None) -> "SoundTagger | None":
    from longvideoagent.models.sound_tagger import load_tagger

    return None if name is None else load_tagger(name)


def _note_sound_cost(readers: "Sequence[VideoReader]", tagger: "SoundTagger") -> None:
    """Say what listening takes, if that is worth a line."""
    from longvideoagent.cli.console import note
    from longvideoagent.core.text import plural
    from longvideoagent.core.timefmt import format_timestamp
    from longvideoagent.index.open import seconds_to_hear

    lengths_s = []
    for reader in readers:
        with suppress(DataError):  # it is reported when the video is read
            lengths_s.append(seconds_to_hear(reader, tagger))
    seconds = sum(lengths_s) * (tagger.cpu_seconds_per_second + DECODING_CPU_SECONDS_PER_SECOND)
    if seconds >= MIN_NOTED_S:
        videos = f"{sum(map(bool, lengths_s))} of {len(readers)} {plural('video', len(readers))}"
        length = format_timestamp(sum(lengths_s))
        note(f"listening to {videos}, {length} of sound, takes about {_duration(seconds)} of CPU time")


def _detector(name: str | None) -> "Detector | None":
    from longvideoagent.models.object_detector import load_detector

    return None if name is None else load_detector(name)


def _find_objects(reader: "VideoReader", detector: "Detector", progress: "Progress") -> bool:
    """Search one video for objects; whether that is possible, with a note if it is not."""
    from longvideoagent.cli.console import note
    from longvideoagent.core.text import plural
    from longvideoagent.index.open import index_objects

    def announce(num_frames: int, seconds: float) -> None:
        frames = f"{num_frames} more {plural('frame', num_frames)}"
        note(f"{reader.path.name}: looking for objects in {frames} takes up to about {_duration(seconds)}")

    try:
        index_objects(reader, detector, progress, announce)
    except LongVideoAgentError as error:
        note(f"error: {error}")
        return False
    return True


def _seconds_per_frame(waiting: "Sequence[tuple[VideoReader, IndexedVideo]]") -> float:
    """As measured in earlier steps, or as usual."""
    from longvideoagent.index.open import open_index
    from longvideoagent.index.screen_text import STEP_NAME
    from longvideoagent.index.stored_text import read_steps

    num_frames, seconds = 0, 0.0
    for reader, indexed in waiting:
        with open_index(reader) as opened:
            seconds += sum(step.seconds for step in read_steps(opened) if step.name == STEP_NAME)
        num_frames += indexed.coverage.num_sampled if indexed.coverage else 0
    return seconds / num_frames if num_frames else USUAL_SECONDS_PER_FRAME


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _print_indexed(reader: "VideoReader", tracks: "SubtitleOptions", indexed: "IndexedVideo") -> None:
    from longvideoagent.cli.console import note
    from longvideoagent.cli.terminal import write_line

    for warning in indexed.video.warnings:
        note(f"warning: {reader.path.name}: {warning}" if reader.path.name not in warning else f"warning: {warning}")
    if not indexed.problem:
        write_line(_status_lines(reader, tracks)[0])


def _status_lines(reader: "VideoReader", tracks: "SubtitleOptions") -> list[str]:
    """What the index of a video has: a line, and one for each part."""
    from longvideoagent.core.text import plural
    from longvideoagent.core.timefmt import format_timestamp
    from longvideoagent.index.build import current_texts
    from longvideoagent.index.events import count_events
    from longvideoagent.index.location import media_version
    from longvideoagent.index.open import open_index
    from longvideoagent.index.stored_text import read_facts, read_steps

    with open_index(reader) as opened:
        texts = current_texts(opened, reader.path, tracks)
        facts, steps = read_facts(opened, media_version(), reader.path.name), read_steps(opened)
        detected = "".join(f", {counts}" for counts in count_events(opened))
        if opened.problem:
            return [opened.problem]
        if facts is None or not texts:
            return [f"{reader.path}: {'some parts are indexed' if steps else 'not indexed'}"]
        size_kb = opened.path.stat().st_size / 1000
        sources = [
            f"{text.num_lines} {plural('line', text.num_lines)} from {text.source}" for text in texts if text.num_lines
        ]
        source = " and ".join(sources) or "no text"
        head = f"{reader.path}: {format_timestamp(facts.duration_s)}, {source}{detected}, {size_kb:.0f} KB"
        return [head, *(f"  {step.name}: {step.covered} ({step.seconds:.1f} s)" for step in steps)]


def _drop(reader: "VideoReader") -> bool:
    from longvideoagent.index.open import open_index

    with open_index(reader) as opened:
        return opened.drop()
