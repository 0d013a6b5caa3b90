/** Thumbnails of the inspected frames, below their position on the timeline. */

import { frameUrl } from "./api.js";
import { element, setVisible } from "./dom.js";
import { formatTimestamp } from "./format.js";

const THUMBNAIL_PX = 76;

export class Filmstrip {
  #row;
  #onSeek;
  #video = null;
  #duration_s = 0;
  #frames_s = [];
  #renderedKey = "";

  /** @param {HTMLElement} row @param {(time_s: number) => void} onSeek */
  constructor(row, onSeek) {
    this.#row = row;
    this.#onSeek = onSeek;
    new ResizeObserver(() => this.#layOut()).observe(row.parentElement);
  }

  /** @param {string|null} video its id @param {number} duration_s @param {number[]} frames_s */
  show(video, duration_s, frames_s) {
    this.#video = video;
    this.#duration_s = duration_s;
    this.#frames_s = [...frames_s].sort((first, second) => first - second);
    setVisible(this.#row, Boolean(video && duration_s && frames_s.length));
    this.#layOut();
  }

  /** Frames may be closer than thumbnails are wide: a thumbnail moves by at most its width, or is omitted. */
  #layOut() {
    const width_px = this.#row.clientWidth;
    if (this.#row.hidden || !width_px) return;
    const thumbnails = [];
    let free_px = 0;
    for (const time_s of this.#frames_s) {
      const center_px = (time_s / this.#duration_s) * width_px - THUMBNAIL_PX / 2;
      const left_px = Math.max(free_px, Math.min(width_px - THUMBNAIL_PX, center_px));
      if (left_px - center_px > THUMBNAIL_PX || left_px > width_px - THUMBNAIL_PX) continue;
      thumbnails.push({ time_s, left_px });
      free_px = left_px + THUMBNAIL_PX + 4;
    }
    const key = JSON.stringify([this.#video, thumbnails]);
    if (key === this.#renderedKey) return;
    this.#renderedKey = key;
    this.#row.replaceChildren(...thumbnails.map((item) => this.#image(item)));
  }

  #image({ time_s, left_px }) {
    const label = `Inspected frame, ${formatTimestamp(time_s)}`;
    const image = element("img", { src: frameUrl(this.#video, time_s), alt: "", loading: "lazy" });
    const seek = () => this.#onSeek(time_s);
    const button = element(
      "button",
      { type: "button", "data-time-s": time_s, "aria-label": label, title: label, onclick: seek },
      image,
    );
    button.style.left = `${left_px}px`;
    return button;
  }
}
