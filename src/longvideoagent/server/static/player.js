/**
 * One <video>, whichever way the video is delivered, with one clock: seconds in the video.
 *
 * A file that browsers know is played as it is. Any other comes as a stream that starts somewhere in the video while
 * the element's own clock starts at 0; how far apart the two are is known in this module and nowhere else.
 */

import { element, show } from "./dom.js";
import { RequestFailure, fileUrl, frameUrl, readStreamStart, streamUrl, subtitlesUrl } from "./api.js";

const NOTES = {
  remux: "Browsers cannot play this container, so it is repacked on the fly. Seek with the timeline below.",
  transcode: "Browsers cannot play this format, so it is transcoded on the fly. Seek with the timeline below.",
};

const MEDIA_FAULTS = {
  1: "Loading the video was stopped.",
  2: "The connection broke while the video was loading. Press play to try again.",
  3: "The browser could not decode this video: it may be damaged.",
  4: "The browser cannot play this video, or the server no longer sends it.",
};

export class Player {
  #media;
  #note;
  #trouble;
  #onTime;
  /** @type {import("./api.js").OpenVideo|null} */
  #video = null;
  /** Where in the video the element's own clock is 0. */
  #offset_s = 0;
  /** Where to be, while the stream that shows it is still to come. */
  #wanted_s = null;
  /** Tells the latest seek from those it overtook. */
  #seeks = 0;

  /**
   * @param {HTMLVideoElement} media
   * @param {{note: HTMLElement, trouble: HTMLElement}} texts where to say how it plays, and why it does not
   * @param {(time_s: number) => void} onTime
   */
  constructor(media, { note, trouble }, onTime) {
    this.#media = media;
    this.#note = note;
    this.#trouble = trouble;
    this.#onTime = onTime;
    for (const name of ["timeupdate", "seeking"]) media.addEventListener(name, () => onTime(this.timeS()));
    media.addEventListener("error", () => this.#tellFault());
    media.addEventListener("playing", () => this.#say(""));
  }

  /** @param {import("./api.js").OpenVideo} video */
  open(video) {
    this.close();
    this.#video = video;
    this.#note.textContent = NOTES[video.playback_mode] ?? "";
    show(this.#note, video.playback_mode in NOTES);
    this.#media.classList.toggle("streamed", video.playback_mode in NOTES);
    if (video.playback_mode === "direct") {
      this.#media.preload = "metadata";
      this.#media.src = fileUrl(video.id);
    } else this.#openStream(0, 0);
  }

  /** Let go of the video: the server must not go on sending it. */
  close() {
    this.#seeks += 1;
    this.#video = null;
    this.#offset_s = 0;
    this.#wanted_s = null;
    this.#say("");
    show(this.#note, false);
    this.#media.replaceChildren();
    this.#media.removeAttribute("poster");
    this.#media.removeAttribute("src");
    this.#media.load();
  }

  /** Offer the video's subtitles in the player's own menu. A stream's own clock would put them at the wrong times. */
  addSubtitles() {
    if (this.#video?.playback_mode !== "direct") return;
    const source = subtitlesUrl(this.#video.id);
    this.#media.replaceChildren(element("track", { kind: "subtitles", label: "Subtitles", src: source }));
  }

  timeS() {
    return this.#wanted_s ?? this.#offset_s + this.#media.currentTime;
  }

  /** @param {number} time_s */
  seek(time_s) {
    if (!this.#video) return;
    this.#seeks += 1;
    this.#wanted_s = null;
    if (this.#video.playback_mode === "direct" || this.#isLoaded(time_s)) this.#media.currentTime = time_s - this.#offset_s;
    else this.#seekStream(time_s);
    this.#onTime(this.timeS());
  }

  playOrPause() {
    if (this.#media.paused) this.#play();
    else this.#media.pause();
  }

  #play() {
    // A refusal (no gesture yet, or overtaken by another source) leaves it paused, which its controls show.
    this.#media.play().catch(() => {});
  }

  #isLoaded(time_s) {
    const { seekable } = this.#media; // of a stream browsers hold more than they skip within
    const own_s = time_s - this.#offset_s;
    for (let index = 0; index < seekable.length; index += 1) {
      if (own_s >= seekable.start(index) && own_s < seekable.end(index)) return true;
    }
    return false;
  }

  async #seekStream(time_s) {
    const seek = this.#seeks;
    const isPlaying = !this.#media.paused;
    this.#wanted_s = time_s;
    try {
      const { start_s } = await readStreamStart(this.#video.id, time_s);
      if (seek !== this.#seeks) return;
      this.#openStream(start_s, time_s);
      if (isPlaying) this.#play();
    } catch (failure) {
      if (!(failure instanceof RequestFailure)) throw failure;
      if (seek === this.#seeks) this.#say(failure.message);
    }
  }

  /** A paused stream costs the server nothing: until it plays, one frame stands for it. */
  #openStream(start_s, time_s) {
    this.#offset_s = start_s;
    this.#wanted_s = null;
    this.#media.preload = "none";
    this.#media.poster = frameUrl(this.#video.id, time_s, 1280);
    this.#media.src = streamUrl(this.#video.id, start_s);
    this.#media.currentTime = time_s - start_s;
  }

  #tellFault() {
    if (this.#video) this.#say(MEDIA_FAULTS[this.#media.error?.code] ?? "The video cannot be played.");
  }

  #say(text) {
    this.#trouble.textContent = text;
    show(this.#trouble, Boolean(text));
  }
}
