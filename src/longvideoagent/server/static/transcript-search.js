/** The search box over what is said and shown: counts the lines found, and goes from one to the next. */

import { byId, setVisible } from "./dom.js";
import { pluralize } from "./format.js";
import { fold, matchSpans, searchWords } from "./text-match.js";

export class TranscriptSearch {
  #box = byId("transcript-search");
  #find = byId("transcript-find");
  #count = byId("transcript-count");
  #steps = byId("transcript-steps");
  #hooks;
  /** @type {import("./transcript.js").Line[]} */
  #lines = [];
  /** The lines without case and accents; null until a search needs them. @type {{folded: string, places: number[]|null}[]|null} */
  #folded = null;
  /** Numbers of the lines found. @type {number[]} */
  #found = [];
  /** Which of `#found` was sought last; -1 for none. */
  #current = -1;

  /**
   * @param {{onFound: (spans: ([number, number][]|null)[]) => void, onCurrent: (index: number) => void,
   *   onMatches: (times_s: number[], current: number) => void}} hooks `onFound` gets nothing without a search; otherwise
   *   for each line what was found in it, or null
   */
  constructor(hooks) {
    this.#hooks = hooks;
    this.#find.addEventListener("input", () => this.#search());
    this.#find.addEventListener("keydown", (event) => this.#onKeyDown(event));
    byId("previous-match").addEventListener("click", () => this.#step(-1));
    byId("next-match").addEventListener("click", () => this.#step(1));
  }

  /** @param {import("./transcript.js").Line[]} lines */
  setLines(lines) {
    this.#lines = lines;
    this.#folded = null;
    setVisible(this.#box, lines.length > 0);
    this.#find.value = "";
    this.#search();
  }

  #search() {
    const words = searchWords(this.#find.value);
    if (words.length) this.#folded ??= this.#lines.map(({ text }) => fold(text));
    const spans = words.length ? this.#folded.map((text) => matchSpans(text, words)) : [];
    this.#found = spans.flatMap((each, index) => (each ? [index] : []));
    this.#current = -1;
    this.#hooks.onFound(spans);
    this.#showCount(words.length > 0);
  }

  #showCount(isSearch) {
    const total = this.#found.length;
    const all = `${total.toLocaleString("en")} of ${pluralize(this.#lines.length, "line")}`;
    const step = `Match ${(this.#current + 1).toLocaleString("en")} of ${total.toLocaleString("en")}`;
    this.#count.textContent = !total ? "No line has these words." : this.#current < 0 ? all : step;
    setVisible(this.#count, isSearch);
    setVisible(this.#steps, total > 0);
    this.#hooks.onMatches(
      this.#found.map((index) => this.#lines[index].start_s),
      this.#current,
    );
  }

  /** Go to the next line found, or to the one before; after the last comes the first. */
  #step(step) {
    const total = this.#found.length;
    if (!total) return;
    const isFirst = this.#current < 0 && step < 0;
    this.#current = isFirst ? total - 1 : (this.#current + step + total) % total;
    this.#hooks.onCurrent(this.#found[this.#current]);
    this.#showCount(true);
  }

  /** Enter and the arrow keys go from match to match, Escape ends the search. */
  #onKeyDown(event) {
    if (event.isComposing) return;
    const steps = { Enter: event.shiftKey ? -1 : 1, ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps) this.#step(steps[event.key]);
    else if (event.key === "Escape" && this.#find.value) {
      this.#find.value = "";
      this.#search();
    } else return;
    event.preventDefault();
  }
}
