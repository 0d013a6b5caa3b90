/** The chapters of the video: a row below the timeline, and a list. */

import { byId, element, setVisible, textElement } from "./dom.js";
import { formatSpan, formatTimestamp, pluralize } from "./format.js";

const UNTITLED = "Untitled";

export class Chapters {
  #row = byId("chapter-row");
  #box = byId("chapters");
  #summary = byId("chapters-summary");
  #list = byId("chapter-list");
  #onSeek;
  #onSeekFromList;
  /** @type {import("./api.js").Chapter[]} */
  #chapters = [];
  #current = -1;

  /**
   * @param {{onSeek: (time_s: number) => void, onSeekFromList: (time_s: number) => void}} hooks the list may be far from
   *   the player
   */
  constructor({ onSeek, onSeekFromList }) {
    this.#onSeek = onSeek;
    this.#onSeekFromList = onSeekFromList;
  }

  /** Show chapters; a single one says nothing and is not shown. @param {import("./api.js").Chapter[]} chapters */
  show(chapters) {
    this.#chapters = chapters.length > 1 ? chapters : [];
    this.#current = -1;
    const hasChapters = this.#chapters.length > 0;
    setVisible(this.#row, hasChapters);
    setVisible(this.#box, hasChapters);
    this.#summary.textContent = `Chapters (${pluralize(this.#chapters.length, "part")})`;
    const duration_s = this.#chapters.at(-1)?.end_s ?? 0;
    this.#row.replaceChildren(...this.#chapters.map((chapter) => this.#bar(chapter, duration_s)));
    this.#list.replaceChildren(...this.#chapters.map((chapter) => this.#item(chapter)));
  }

  setTime(time_s) {
    const current = this.#chapters.findLastIndex((chapter) => time_s >= chapter.start_s);
    if (current === this.#current) return;
    for (const parent of [this.#row, this.#list]) {
      parent.children[this.#current]?.removeAttribute("aria-current");
      parent.children[current]?.setAttribute("aria-current", "true");
    }
    this.#current = current;
  }

  /** The list has the same for the keyboard and for screen readers. */
  #bar({ start_s, end_s, title }, duration_s) {
    const text = title || UNTITLED;
    const bar = element(
      "button",
      {
        type: "button",
        class: "chapter",
        tabindex: -1,
        title: `${text}, ${formatSpan(start_s, end_s)}`,
        "data-time-s": start_s,
        onclick: () => this.#onSeek(start_s),
      },
      textElement("span", "", text),
    );
    bar.style.left = `${(100 * start_s) / duration_s}%`;
    bar.style.width = `${(100 * (end_s - start_s)) / duration_s}%`;
    return bar;
  }

  #item({ start_s, title, key_lines }) {
    const seek = () => this.#onSeekFromList(start_s);
    const button = element(
      "button",
      { type: "button", "data-time-s": start_s, onclick: seek },
      element("span", { class: "time" }, formatTimestamp(start_s)),
      element(
        "span",
        {},
        textElement("strong", "", title || UNTITLED),
        key_lines.length ? textElement("span", "muted", key_lines[0].text) : null,
      ),
    );
    return element("li", {}, button);
  }
}
