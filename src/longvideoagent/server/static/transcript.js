/** The lines of the video: the current one below the player, and all of them as a list that follows it. */

import { byId, element, setVisible, textElement } from "./dom.js";
import { formatTimestamp, pluralize } from "./format.js";

export class Transcript {
  #box = byId("transcript");
  #summary = byId("transcript-summary");
  #list = byId("transcript-lines");
  #follow = byId("transcript-follow");
  #find = byId("transcript-find");
  #count = byId("transcript-count");
  #currentLine = byId("current-line");
  #onSeek;
  /** @type {{start_s: number, end_s: number, text: string}[]} */
  #lines = [];
  #current = -1;

  /** @param {(time_s: number) => void} onSeek */
  constructor(onSeek) {
    this.#onSeek = onSeek;
    this.#box.addEventListener("toggle", () => this.#scrollToCurrent());
    this.#find.addEventListener("input", () => this.#filter());
    this.#find.addEventListener("keydown", (event) => this.#onFindKey(event));
  }

  /** @param {{start_s: number, end_s: number, text: string}[]} lines */
  show(lines) {
    this.#lines = lines;
    this.#current = -1;
    this.#currentLine.textContent = "";
    setVisible(this.#box, lines.length > 0);
    this.#summary.textContent = `Transcript (${pluralize(lines.length, "line")})`;
    this.#list.replaceChildren(...lines.map((line) => this.#line(line)));
    this.#find.value = "";
    this.#filter();
  }

  /** Show only the lines that contain all words that are searched for. */
  #filter() {
    const words = this.#find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let numFound = 0;
    this.#lines.forEach(({ text }, index) => {
      const isFound = words.every((word) => text.toLowerCase().includes(word));
      setVisible(this.#list.children[index], isFound);
      numFound += isFound;
    });
    const count = `${numFound.toLocaleString("en")} of ${pluralize(this.#lines.length, "line")}`;
    this.#count.textContent = numFound ? count : "No line has these words.";
    setVisible(this.#count, words.length > 0);
    if (!words.length) this.#scrollToCurrent();
  }

  /** Enter seeks to the first line found, Escape ends the search. */
  #onFindKey(event) {
    if (event.key === "Enter" && !event.isComposing) this.#list.querySelector("li:not([hidden]) button")?.click();
    else if (event.key === "Escape" && this.#find.value) this.#find.value = "";
    else return;
    event.preventDefault();
    if (event.key === "Escape") this.#filter();
  }

  setTime(time_s) {
    const next = this.#lines.findIndex((line) => line.start_s > time_s);
    const last = (next === -1 ? this.#lines.length : next) - 1;
    this.#currentLine.textContent = last >= 0 && time_s <= this.#lines[last].end_s ? this.#lines[last].text : "";
    if (last === this.#current) return;
    this.#list.children[this.#current]?.removeAttribute("aria-current");
    this.#current = last;
    this.#list.children[last]?.setAttribute("aria-current", "true");
    this.#scrollToCurrent();
  }

  /** Scroll the list, not the page, to the current line. */
  #scrollToCurrent() {
    const line = this.#list.children[this.#current];
    if (!line || line.hidden || !this.#box.open || !this.#follow.checked) return;
    this.#list.scrollTop = line.offsetTop - this.#list.clientHeight / 2 + line.offsetHeight / 2;
  }

  #line({ start_s, text }) {
    const seek = () => this.#onSeek(start_s);
    const button = element(
      "button",
      { type: "button", "data-time-s": start_s, onclick: seek },
      element("span", { class: "time" }, formatTimestamp(start_s)),
      textElement("span", "", text),
    );
    return element("li", {}, button);
  }
}
