/** One video: player, timeline, frames looked at and transcript, which share one time. */

import { bringIntoSight, byId, element, show } from "./dom.js";
import { RequestFailure, readTimeline, readVideo } from "./api.js";
import { Filmstrip } from "./filmstrip.js";
import { marksOf } from "./timeline-marks.js";
import { Player } from "./player.js";
import { Timeline } from "./timeline.js";
import { Transcript } from "./transcript.js";
import { clock, counted, percent } from "./format.js";

const NOTHING_MARKED = marksOf(null);

export class Viewer {
  #root = byId("viewer");
  #name = byId("video-name");
  #facts = byId("video-facts");
  #making = byId("timeline-making");
  #warnings = byId("timeline-warnings");
  #hooks;
  #player;
  #timeline;
  #filmstrip;
  #transcript;
  #opening = new AbortController();
  #videoId = null;
  /** The video that the player holds: behind `#videoId` while that is still to be read. */
  #playingId = null;
  #isOpening = false;
  /** What the timeline was made from, so that opening the same again changes nothing. */
  #shown = "";
  #duration_s = 0;
  #marks = NOTHING_MARKED;

  /**
   * @param {{onVideo: (id: string|null) => void, onOpened: () => void,
   *   onSuggestions: (suggestions: import("./api.js").Suggestion[]) => void,
   *   onTrouble: (id: string, failure: RequestFailure, retry: () => void) => void}} hooks
   */
  constructor(hooks) {
    this.#hooks = hooks;
    const onSeek = (time_s) => this.seek(time_s);
    const texts = { note: byId("playing-note"), trouble: byId("playing-trouble") };
    this.#player = new Player(byId("player"), texts, (time_s) => this.#setTime(time_s));
    const toTimeline = { onSeek: (time_s) => this.#player.seek(time_s), onPlay: () => this.#player.playOrPause() };
    this.#timeline = new Timeline(byId("timeline"), byId("timeline-ticks"), toTimeline);
    this.#filmstrip = new Filmstrip(byId("filmstrip"), onSeek);
    this.#transcript = new Transcript(onSeek);
  }

  get videoId() {
    return this.#videoId;
  }

  /** Whether the server is still opening the chosen video. */
  get isOpening() {
    return this.#isOpening;
  }

  /** Go there, and show where that is. */
  seek(time_s) {
    this.#player.seek(time_s);
    bringIntoSight(byId("stage"));
  }

  /** @param {import("./timeline-marks.js").Marks} marks */
  mark(marks) {
    this.#marks = marks;
    this.#timeline.mark(marks);
    this.#filmstrip.show(this.#videoId, this.#duration_s, marks.frames_s);
  }

  /** Nothing to look at. */
  close() {
    this.#begin("", null);
    this.#letGo();
    show(this.#root, false);
  }

  /** Open a video of the library and the timeline that the server makes of it. `isAnew`: it has new subtitles. */
  async open(id, isAnew = false) {
    const wanted = JSON.stringify([id]);
    if (wanted === this.#shown && !isAnew) return;
    const marks = id === this.#videoId ? this.#marks : NOTHING_MARKED;
    const { signal } = this.#begin(wanted, id);
    this.mark(marks);
    await this.#guard(
      signal,
      () => this.open(id, true),
      async () => {
        await this.#openVideo(id, signal);
        const timeline = await readTimeline(id, (doing, share) => this.#tellMaking(doing, share), signal);
        this.#showTimeline(timeline);
        this.#transcript.show(timeline.subtitles);
        if (timeline.subtitles.length) this.#player.addSubtitles();
        this.#showWarnings(timeline.warnings);
        const clips = counted(timeline.clips.length, "clip");
        this.#facts.textContent += `, ${clips}. ${whereTextIsFrom(timeline.text_source)}`;
        this.#hooks.onSuggestions(timeline.suggestions);
      },
    );
  }

  /**
   * Show a timeline that is known already, with its video where there is one.
   * @param {string|null} id
   * @param {string} name
   * @param {{duration_s: number|null, clips: import("./api.js").Clip[]}} timeline
   */
  async openGiven(id, name, timeline) {
    const duration_s = timeline.duration_s ?? timeline.clips.at(-1)?.end_s ?? 0;
    const wanted = JSON.stringify([id, name, timeline]);
    if (wanted === this.#shown) return;
    const { signal } = this.#begin(wanted, id);
    this.#name.textContent = name;
    this.#facts.textContent = id ? "" : "This video is not in the library: its clips can be seen, not played.";
    this.#letGo();
    show(this.#root, Boolean(id || timeline.clips.length));
    show(byId("stage"), id !== null);
    this.#showTimeline({ duration_s, clips: timeline.clips });
    if (id)
      await this.#guard(
        signal,
        () => this.openGiven(id, name, timeline),
        () => this.#openVideo(id, signal),
      );
  }

  /** Stop what is still being opened and start from an empty timeline. */
  #begin(wanted, id) {
    this.#opening.abort();
    this.#opening = new AbortController();
    this.#shown = wanted;
    this.#videoId = id;
    this.#isOpening = false;
    this.#hooks.onVideo(id);
    this.#marks = NOTHING_MARKED;
    this.#transcript.show([]);
    this.#showWarnings([]);
    this.#hooks.onSuggestions([]);
    this.#showTimeline({ duration_s: 0, clips: [] });
    return this.#opening;
  }

  /** Failures are told; what was overtaken by another video is not. */
  async #guard(signal, retry, work) {
    try {
      await work();
    } catch (failure) {
      if (signal.aborted) return;
      if (!(failure instanceof RequestFailure)) throw failure;
      this.#shown = "";
      this.#isOpening = false;
      show(this.#making, false);
      if (this.#playingId !== this.#videoId) {
        this.#letGo();
        show(this.#root, false);
      }
      this.#hooks.onTrouble(this.#videoId, failure, retry);
    }
  }

  #letGo() {
    this.#player.close();
    this.#playingId = null;
  }

  async #openVideo(id, signal) {
    show(this.#root, true);
    show(byId("stage"), true);
    this.#isOpening = true;
    const video = await readVideo(id, signal);
    const pixels = video.width_px ? `, ${video.width_px} × ${video.height_px}` : "";
    this.#name.textContent = video.name;
    this.#name.title = video.name;
    this.#facts.textContent = `${clock(video.duration_s)}${pixels}`;
    this.#player.open(video);
    this.#playingId = id;
    this.#isOpening = false;
    this.#hooks.onOpened();
  }

  #showTimeline({ duration_s, clips }) {
    this.#duration_s = duration_s;
    show(this.#making, false);
    show(byId("timeline-box"), duration_s > 0);
    this.#timeline.show({ duration_s, clips });
    this.mark(this.#marks);
    this.#setTime(this.#videoId ? this.#player.timeS() : 0);
  }

  #tellMaking(doing, share) {
    show(this.#making, true);
    byId("timeline-doing").textContent = share === null ? `${doing} …` : `${doing}, ${percent(share)}`;
    const bar = byId("timeline-share");
    if (share === null) bar.removeAttribute("value");
    else bar.value = share;
  }

  #showWarnings(warnings) {
    this.#warnings.replaceChildren(...warnings.map((warning) => element("li", { dir: "auto" }, warning)));
    show(this.#warnings, warnings.length > 0);
  }

  #setTime(time_s) {
    this.#timeline.setTime(time_s);
    this.#transcript.setTime(time_s);
  }
}

function whereTextIsFrom(source) {
  return source === "nowhere" ? "No subtitles and no text were found in it." : `Text from ${source}`;
}
