/** The frames that were looked at, as small pictures below their place on the timeline. */

import { element, show } from "./dom.js";
import { frameUrl } from "./api.js";
import { clock } from "./format.js";

const PICTURE_PX = 76;

export class Filmstrip {
  #row;
  #onSeek;
  #video = null;
  #duration_s = 0;
  #frames_s = [];
  #shown = "";

  /** @param {HTMLElement} row @param {(time_s: number) => void} onSeek */
  constructor(row, onSeek) {
    this.#row = row;
    this.#onSeek = onSeek;
    new ResizeObserver(() => this.#lay()).observe(row.parentElement);
  }

  /** @param {string|null} video its id @param {number} duration_s @param {number[]} frames_s */
  show(video, duration_s, frames_s) {
    this.#video = video;
    this.#duration_s = duration_s;
    this.#frames_s = [...frames_s].sort((one, other) => one - other);
    show(this.#row, Boolean(video && duration_s && frames_s.length));
    this.#lay();
  }

  /** Frames may be closer together than pictures are wide: one gives way by its width at most, or is left out. */
  #lay() {
    const width_px = this.#row.clientWidth;
    if (this.#row.hidden || !width_px) return;
    const pictures = [];
    let free_px = 0;
    for (const time_s of this.#frames_s) {
      const place_px = (time_s / this.#duration_s) * width_px - PICTURE_PX / 2;
      const left_px = Math.max(free_px, Math.min(width_px - PICTURE_PX, place_px));
      if (left_px - place_px > PICTURE_PX || left_px > width_px - PICTURE_PX) continue;
      pictures.push({ time_s, left_px });
      free_px = left_px + PICTURE_PX + 4;
    }
    const wanted = JSON.stringify([this.#video, pictures]);
    if (wanted === this.#shown) return;
    this.#shown = wanted;
    this.#row.replaceChildren(...pictures.map((each) => this.#picture(each)));
  }

  #picture({ time_s, left_px }) {
    const label = `Frame looked at, ${clock(time_s)}`;
    const picture = element("img", { src: frameUrl(this.#video, time_s), alt: "", loading: "lazy" });
    const seek = () => this.#onSeek(time_s);
    const button = element(
      "button",
      { type: "button", "data-time-s": time_s, "aria-label": label, title: label, onclick: seek },
      picture,
    );
    button.style.left = `${left_px}px`;
    return button;
  }
}
