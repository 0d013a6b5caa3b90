/** The lines of the video: the current one below the player, and all of them as a list that follows it. */

import { byId, element, setVisible, textElement } from "./dom.js";
import { formatTimestamp, pluralize } from "./format.js";
import { TranscriptSearch } from "./transcript-search.js";

/** @typedef {{start_s: number, end_s: number, text: string, source: "subtitle"|"screen"|"sound"|"object"}} Line */

/** What stands behind the text of a line that is not spoken. */
const LABELS = { screen: "on screen", sound: "sound", object: "seems to show" };

export class Transcript {
  #box = byId("transcript");
  #summary = byId("transcript-summary");
  #list = byId("transcript-lines");
  #follow = byId("transcript-follow");
  #currentLine = byId("current-line");
  #search;
  #onSeek;
  /** @type {Line[]} */
  #lines = [];
  /** The items of the list. Its `children` would be counted again after each change in them. @type {HTMLElement[]} */
  #items = [];
  /** Of each line, what the search marks in it; "" for nothing. @type {string[]} */
  #marked = [];
  #current = -1;

  /** @param {{onSeek: (time_s: number) => void, onMatches: (times_s: number[], current: number) => void}} hooks */
  constructor({ onSeek, onMatches }) {
    this.#onSeek = onSeek;
    this.#box.addEventListener("toggle", () => this.#scrollToCurrent());
    this.#search = new TranscriptSearch({
      onFound: (spans) => this.#showFound(spans),
      onCurrent: (index) => this.#showMatch(index),
      onMatches,
    });
  }

  /** @param {Line[]} lines */
  show(lines) {
    this.#lines = lines;
    this.#marked = lines.map(() => "");
    this.#current = -1;
    this.#currentLine.textContent = "";
    setVisible(this.#box, lines.length > 0);
    const isOnlyScreen = lines.length > 0 && lines.every(({ source }) => source === "screen");
    const others = isOnlyScreen ? "" : Object.keys(LABELS).map((source) => countOf(lines, source)).join("");
    this.#summary.textContent = `${isOnlyScreen ? "Text on screen" : "Transcript"} (${pluralize(lines.length, "line")}${others})`;
    this.#items = lines.map((line) => this.#line(line));
    this.#list.replaceChildren(...this.#items);
    this.#search.setLines(lines);
  }

  setTime(time_s) {
    const next = this.#lines.findIndex((line) => line.start_s > time_s);
    const last = (next === -1 ? this.#lines.length : next) - 1;
    const shown = this.#lines.slice(0, last + 1).filter((line) => time_s <= line.end_s);
    this.#currentLine.textContent = (shown.findLast(isSpoken) ?? shown.at(-1))?.text ?? "";
    if (last === this.#current) return;
    this.#items[this.#current]?.removeAttribute("aria-current");
    this.#current = last;
    this.#items[last]?.setAttribute("aria-current", "true");
    this.#scrollToCurrent();
  }

  /** List only the lines that were found, with what was found in them. @param {([number, number][]|null)[]} spans */
  #showFound(spans) {
    const isSearch = spans.length > 0;
    if (isSearch) this.#box.open = true;
    const listed = this.#items.filter((item, index) => {
      const found = isSearch ? spans[index] : [];
      if (found) this.#markFound(item, index, found);
      return found !== null;
    });
    // To hide thousands of lines one by one takes Chromium twenty times as long.
    if (listed.length !== this.#list.children.length || listed.some((item) => !item.isConnected))
      this.#list.replaceChildren(...listed);
    if (!isSearch) this.#scrollToCurrent();
  }

  #markFound(item, index, found) {
    item.removeAttribute("data-match");
    const key = found.length ? JSON.stringify(found) : "";
    if (this.#marked[index] === key) return;
    this.#marked[index] = key;
    item.querySelector(".text").replaceChildren(...highlighted(this.#lines[index].text, found));
  }

  /** Seek to a line that was found. */
  #showMatch(index) {
    this.#list.querySelector("[data-match]")?.removeAttribute("data-match");
    const item = this.#items[index];
    item.setAttribute("data-match", "current");
    this.#onSeek(this.#lines[index].start_s);
    this.#scrollTo(item);
  }

  #scrollToCurrent() {
    const line = this.#items[this.#current];
    if (line?.isConnected && this.#box.open && this.#follow.checked) this.#scrollTo(line);
  }

  /** Scroll the list, not the page. */
  #scrollTo(line) {
    this.#list.scrollTop = line.offsetTop - this.#list.clientHeight / 2 + line.offsetHeight / 2;
  }

  #line(line) {
    const seek = () => this.#onSeek(line.start_s);
    const button = element(
      "button",
      { type: "button", "data-time-s": line.start_s, onclick: seek },
      element("span", { class: "time" }, formatTimestamp(line.start_s)),
      element(
        "span",
        {},
        textElement("span", "text", line.text),
        isSpoken(line) ? null : element("span", { class: "line-source" }, LABELS[line.source]),
      ),
    );
    return element("li", { "data-source": line.source }, button);
  }
}

function isSpoken({ source }) {
  return !(source in LABELS);
}

/** How many lines are of a source, for the summary; empty if none is. */
function countOf(lines, source) {
  const count = lines.filter((line) => line.source === source).length;
  if (!count) return "";
  return `, ${source === "screen" ? `${count.toLocaleString("en")} on screen` : pluralize(count, source)}`;
}

/** A text with spans of it marked. */
function highlighted(text, spans) {
  const nodes = [];
  let end = 0;
  for (const [start, next] of spans) {
    nodes.push(text.slice(end, start), element("mark", {}, text.slice(start, next)));
    end = next;
  }
  return [...nodes, text.slice(end)].filter(Boolean);
}
