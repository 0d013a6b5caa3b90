/**
 * One <video>, whichever way the video is delivered, with one clock: seconds in the video.
 *
 * A file that browsers can play is sent unchanged. Any other is a stream that starts somewhere in the video while
 * the element's own clock starts at 0; only this module knows the offset between the two.
 */

import { fileUrl, frameUrl, readStreamStart, RequestError, streamUrl, subtitlesUrl } from "./api.js";
import { element, setVisible } from "./dom.js";

const NOTES = {
  remux: "Browsers cannot play this container, so it is remuxed on the fly. Seek with the timeline below.",
  transcode: "Browsers cannot play this format, so it is transcoded on the fly. Seek with the timeline below.",
};

const MEDIA_ERRORS = {
  1: "Loading the video was stopped.",
  2: "The connection broke while the video was loading. Press play to try again.",
  3: "The browser could not decode this video: it may be damaged.",
  4: "The browser cannot play this video, or the server no longer sends it.",
};

export class Player {
  #media;
  #note;
  #error;
  #onTime;
  /** @type {import("./api.js").OpenVideo|null} */
  #video = null;
  /** Time in the video at which the element's own clock is 0. */
  #offset_s = 0;
  /** Target of a seek whose stream has not started yet, or null. */
  #pending_s = null;
  /** Number of seeks so far: an older seek that ends late has no effect. */
  #numSeeks = 0;

  /**
   * @param {HTMLVideoElement} media
   * @param {{note: HTMLElement, error: HTMLElement}} texts elements for the playback mode and for errors
   * @param {(time_s: number) => void} onTime
   */
  constructor(media, { note, error }, onTime) {
    this.#media = media;
    this.#note = note;
    this.#error = error;
    this.#onTime = onTime;
    for (const name of ["timeupdate", "seeking"]) media.addEventListener(name, () => onTime(this.timeS()));
    media.addEventListener("error", () => this.#showMediaError());
    media.addEventListener("playing", () => this.#setError(""));
  }

  /** @param {import("./api.js").OpenVideo} video */
  open(video) {
    this.close();
    this.#video = video;
    this.#note.textContent = NOTES[video.playback_mode] ?? "";
    setVisible(this.#note, video.playback_mode in NOTES);
    this.#media.classList.toggle("streamed", video.playback_mode in NOTES);
    if (video.playback_mode === "direct") {
      this.#media.preload = "metadata";
      this.#media.src = fileUrl(video.id);
    } else this.#openStream(0, 0);
  }

  /** Release the video, so that the server stops sending it. */
  close() {
    this.#numSeeks += 1;
    this.#video = null;
    this.#offset_s = 0;
    this.#pending_s = null;
    this.#setError("");
    setVisible(this.#note, false);
    this.#media.replaceChildren();
    this.#media.removeAttribute("poster");
    this.#media.removeAttribute("src");
    this.#media.load();
  }

  /** Add the subtitles to the player's menu; not for streams, whose clock would shift them. */
  addSubtitles() {
    if (this.#video?.playback_mode !== "direct") return;
    const source = subtitlesUrl(this.#video.id);
    this.#media.replaceChildren(element("track", { kind: "subtitles", label: "Subtitles", src: source }));
  }

  timeS() {
    return this.#pending_s ?? this.#offset_s + this.#media.currentTime;
  }

  /** @param {number} time_s */
  seek(time_s) {
    if (!this.#video) return;
    this.#numSeeks += 1;
    this.#pending_s = null;
    if (this.#video.playback_mode === "direct" || this.#isLoaded(time_s))
      this.#media.currentTime = time_s - this.#offset_s;
    else this.#seekStream(time_s);
    this.#onTime(this.timeS());
  }

  playOrPause() {
    if (this.#media.paused) this.#play();
    else this.#media.pause();
  }

  #play() {
    // A rejection (no user gesture yet, or another source was set) leaves the player paused, as its controls show.
    this.#media.play().catch(() => {});
  }

  #isLoaded(time_s) {
    const { seekable } = this.#media; // of a stream, more may be buffered than is seekable
    const own_s = time_s - this.#offset_s;
    for (let index = 0; index < seekable.length; index += 1) {
      if (own_s >= seekable.start(index) && own_s < seekable.end(index)) return true;
    }
    return false;
  }

  async #seekStream(time_s) {
    const seek = this.#numSeeks;
    const isPlaying = !this.#media.paused;
    this.#pending_s = time_s;
    try {
      const { start_s } = await readStreamStart(this.#video.id, time_s);
      if (seek !== this.#numSeeks) return;
      this.#openStream(start_s, time_s);
      if (isPlaying) this.#play();
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      if (seek === this.#numSeeks) this.#setError(error.message);
    }
  }

  /** A paused stream costs the server nothing: a poster frame is shown until it plays. */
  #openStream(start_s, time_s) {
    this.#offset_s = start_s;
    this.#pending_s = null;
    this.#media.preload = "none";
    this.#media.poster = frameUrl(this.#video.id, time_s, 1280);
    this.#media.src = streamUrl(this.#video.id, start_s);
    this.#media.currentTime = time_s - start_s;
  }

  #showMediaError() {
    if (this.#video) this.#setError(MEDIA_ERRORS[this.#media.error?.code] ?? "The video cannot be played.");
  }

  #setError(text) {
    this.#error.textContent = text;
    setVisible(this.#error, Boolean(text));
  }
}
