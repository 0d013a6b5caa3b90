/** One video: player, timeline, inspected frames and transcript with one shared time. */

import { readChapters, readTimeline, readVideo, RequestError } from "./api.js";
import { Chapters } from "./chapters.js";
import { byId, element, scrollToElement, setVisible } from "./dom.js";
import { Filmstrip } from "./filmstrip.js";
import { formatPercent, formatTimestamp, pluralize } from "./format.js";
import { Player } from "./player.js";
import { timelineMarks } from "./timeline-marks.js";
import { Timeline } from "./timeline.js";
import { Transcript } from "./transcript.js";

const NO_MARKS = timelineMarks(null);

export class Viewer {
  #root = byId("viewer");
  #name = byId("video-name");
  #facts = byId("video-facts");
  #timelineProgress = byId("timeline-progress");
  #warnings = byId("timeline-warnings");
  #hooks;
  #player;
  #timeline;
  #filmstrip;
  #transcript;
  #chapters;
  #opening = new AbortController();
  #videoId = null;
  /** The id of the video in the player; differs from `#videoId` while that one is being read. */
  #playingId = null;
  #isOpening = false;
  /** Identifies what is shown: opening the same again does nothing. */
  #shownKey = "";
  #duration_s = 0;
  /** @type {import("./api.js").Clip[]} */
  #clips = [];
  #marks = NO_MARKS;

  /**
   * @param {{onVideo: (id: string|null) => void, onOpened: () => void, onTimeline: () => void,
   *   onSuggestions: (suggestions: import("./api.js").Suggestion[]) => void,
   *   onError: (id: string, error: RequestError, retry: () => void) => void}} hooks
   */
  constructor(hooks) {
    this.#hooks = hooks;
    const onSeek = (time_s) => this.seek(time_s);
    const elements = { note: byId("playback-note"), error: byId("playback-error") };
    this.#player = new Player(byId("player"), elements, (time_s) => this.#setTime(time_s));
    const timelineHooks = { onSeek: (time_s) => this.#player.seek(time_s), onPlay: () => this.#player.playOrPause() };
    this.#timeline = new Timeline(byId("timeline"), byId("timeline-ticks"), timelineHooks);
    this.#filmstrip = new Filmstrip(byId("filmstrip"), onSeek);
    const onMatches = (times_s, current) => this.#markMatches(times_s, current);
    this.#transcript = new Transcript({ onSeek, onMatches });
    this.#chapters = new Chapters({ onSeek: timelineHooks.onSeek, onSeekFromList: onSeek });
  }

  get videoId() {
    return this.#videoId;
  }

  /** Whether the server is still opening the chosen video. */
  get isOpening() {
    return this.#isOpening;
  }

  /** The clips of the timeline; empty until they are known. */
  get clips() {
    return this.#clips;
  }

  /** Seek, and scroll to the player. */
  seek(time_s) {
    this.#player.seek(time_s);
    scrollToElement(byId("stage"));
  }

  /** @param {import("./timeline-marks.js").TimelineMarks} marks */
  mark(marks) {
    this.#marks = marks;
    this.#timeline.mark(marks);
    this.#filmstrip.show(this.#videoId, this.#duration_s, marks.frames_s);
    setVisible(byId("visited-key"), marks.visited.size > 0);
    setVisible(byId("frame-key"), marks.frames_s.length > 0);
    setVisible(byId("evidence-key"), marks.evidence.length > 0);
  }

  /** Show no video. */
  close() {
    this.#reset("", null);
    this.#closePlayer();
    setVisible(this.#root, false);
  }

  /** Open a video of the library with its timeline. `isReload`: open it again, because of new subtitles. */
  async open(id, isReload = false) {
    const key = JSON.stringify([id]);
    if (key === this.#shownKey && !isReload) return;
    const marks = id === this.#videoId ? this.#marks : NO_MARKS;
    const { signal } = this.#reset(key, id);
    this.mark(marks);
    await this.#guard(
      signal,
      () => this.open(id, true),
      async () => {
        await this.#openVideo(id, signal);
        const onProgress = (stage, fraction) => this.#showTimelineProgress(stage, fraction);
        const timeline = await readTimeline(id, onProgress, signal);
        this.#showTimeline(timeline);
        this.#transcript.show(timeline.subtitles);
        if (timeline.subtitles.length) this.#player.addSubtitles();
        this.#showWarnings(timeline.warnings);
        const clips = pluralize(timeline.clips.length, "clip");
        this.#facts.textContent += `, ${clips}. ${textSourceText(timeline.text_source)}`;
        this.#hooks.onSuggestions(timeline.suggestions);
        this.#hooks.onTimeline();
        if (timeline.subtitles.length) this.#showChapters(await readChapters(id, signal));
      },
    );
  }

  /**
   * Show a timeline that is known already, with its video if it is in the library.
   * @param {string|null} id
   * @param {string} name
   * @param {{duration_s: number|null, clips: import("./api.js").Clip[]}} timeline
   */
  async openWithTimeline(id, name, timeline) {
    const duration_s = timeline.duration_s ?? timeline.clips.at(-1)?.end_s ?? 0;
    const key = JSON.stringify([id, name, timeline]);
    if (key === this.#shownKey) return;
    const { signal } = this.#reset(key, id);
    this.#name.textContent = name;
    this.#facts.textContent = id ? "" : "This video is not in the library: its clips are shown but cannot be played.";
    this.#closePlayer();
    setVisible(this.#root, Boolean(id || timeline.clips.length));
    setVisible(byId("stage"), id !== null);
    this.#showTimeline({ duration_s, clips: timeline.clips });
    if (id)
      await this.#guard(
        signal,
        () => this.openWithTimeline(id, name, timeline),
        () => this.#openVideo(id, signal),
      );
  }

  /** Cancel what is being opened and show an empty timeline. */
  #reset(key, id) {
    this.#opening.abort();
    this.#opening = new AbortController();
    this.#shownKey = key;
    this.#videoId = id;
    this.#isOpening = false;
    this.#hooks.onVideo(id);
    this.#marks = NO_MARKS;
    this.#transcript.show([]);
    this.#showChapters([]);
    this.#showWarnings([]);
    this.#hooks.onSuggestions([]);
    this.#showTimeline({ duration_s: 0, clips: [] });
    return this.#opening;
  }

  /** Report failed requests, unless another video was opened meanwhile. */
  async #guard(signal, retry, work) {
    try {
      await work();
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof RequestError)) throw error;
      this.#shownKey = "";
      this.#isOpening = false;
      setVisible(this.#timelineProgress, false);
      if (this.#playingId !== this.#videoId) {
        this.#closePlayer();
        setVisible(this.#root, false);
      }
      this.#hooks.onError(this.#videoId, error, retry);
    }
  }

  #closePlayer() {
    this.#player.close();
    this.#playingId = null;
  }

  async #openVideo(id, signal) {
    setVisible(this.#root, true);
    setVisible(byId("stage"), true);
    this.#isOpening = true;
    const video = await readVideo(id, signal);
    const pixels = video.width_px ? `, ${video.width_px} × ${video.height_px}` : "";
    this.#name.textContent = video.name;
    this.#name.title = video.name;
    this.#facts.textContent = `${formatTimestamp(video.duration_s)}${pixels}`;
    this.#player.open(video);
    this.#playingId = id;
    this.#isOpening = false;
    this.#hooks.onOpened();
  }

  #showTimeline({ duration_s, clips, subtitles = [] }) {
    this.#duration_s = duration_s;
    this.#clips = clips;
    const screenTexts = subtitles.filter(({ source }) => source === "screen");
    setVisible(byId("screen-key"), screenTexts.length > 0);
    setVisible(this.#timelineProgress, false);
    setVisible(byId("timeline-box"), duration_s > 0);
    this.#timeline.show({ duration_s, clips, screenTexts });
    this.mark(this.#marks);
    this.#setTime(this.#videoId ? this.#player.timeS() : 0);
  }

  #showChapters(chapters) {
    this.#chapters.show(chapters);
    this.#chapters.setTime(this.#player.timeS());
  }

  #markMatches(times_s, current) {
    this.#timeline.markMatches(times_s, current);
    setVisible(byId("match-key"), times_s.length > 0);
  }

  #showTimelineProgress(stage, fraction) {
    setVisible(this.#timelineProgress, true);
    byId("timeline-stage").textContent = fraction === null ? `${stage} …` : `${stage}, ${formatPercent(fraction)}`;
    const bar = byId("timeline-fraction");
    if (fraction === null) bar.removeAttribute("value");
    else bar.value = fraction;
  }

  #showWarnings(warnings) {
    this.#warnings.replaceChildren(...warnings.map((warning) => element("li", { dir: "auto" }, warning)));
    setVisible(this.#warnings, warnings.length > 0);
  }

  #setTime(time_s) {
    this.#timeline.setTime(time_s);
    this.#transcript.setTime(time_s);
    this.#chapters.setTime(time_s);
  }
}

function textSourceText(source) {
  return source === "nowhere" ? "No subtitles and no text were found." : `Text from ${source}`;
}
