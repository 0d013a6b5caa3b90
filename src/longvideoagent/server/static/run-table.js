/** The questions of a run, or of two, as a table with filters. */

import { byId, element, prose, show } from "./dom.js";
import { COMPARED_FILTERS, VERDICT_FILTERS, keepWanted, verdictOf } from "./comparison.js";
import { runHash } from "./routes.js";
import { counted } from "./format.js";

const ROWS_AT_ONCE = 200;
const VERDICT_SIGNS = { right: "✓", wrong: "✗", failed: "!", unjudged: "·", missing: "–" };
const VERDICT_WORDS = {
  right: "right",
  wrong: "wrong",
  failed: "failed",
  unjudged: "not judged",
  missing: "not asked",
};

export class RunTable {
  #head = byId("run-head");
  #body = byId("run-rows");
  #count = byId("run-count");
  #more = byId("more-rows");
  #verdict = byId("filter-verdict");
  #kind = byId("filter-kind");
  #text = byId("filter-text");
  /** @type {import("./comparison.js").Pair[]} */
  #pairs = [];
  #route = null;
  #limit = ROWS_AT_ONCE;

  constructor() {
    for (const filter of [this.#verdict, this.#kind, this.#text])
      filter.addEventListener("input", () => this.#refilter());
    this.#more.addEventListener("click", () => {
      this.#limit += ROWS_AT_ONCE;
      this.#render();
    });
    this.#body.addEventListener("click", (event) => {
      if (!event.target.closest("a")) event.target.closest("tr")?.querySelector("a")?.click();
    });
  }

  /**
   * @param {import("./comparison.js").Pair[]} pairs
   * @param {{id: string, other: string|null, question: string|null}} route
   */
  show(pairs, route) {
    const isOther = !this.#route || this.#route.id !== route.id || this.#route.other !== route.other;
    this.#pairs = pairs;
    this.#route = route;
    if (isOther) this.#offerFilters();
    this.#render();
  }

  /** Other runs are being read: the links of the rows that were there lead elsewhere. */
  clear() {
    this.#pairs = [];
    this.#route = null;
    this.#body.replaceChildren();
    this.#count.textContent = "";
    show(this.#more, false);
  }

  /** Mark the chosen question. */
  choose(route) {
    this.#route = route;
    for (const row of this.#body.children) {
      if (row.dataset.id === route.question) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
  }

  #offerFilters() {
    const filters = this.#route.other ? COMPARED_FILTERS : VERDICT_FILTERS;
    this.#verdict.replaceChildren(...filters.map(({ value, words }) => element("option", { value }, words)));
    const kinds = [...new Set(this.#pairs.map(({ kind }) => kind))].filter(Boolean).sort();
    const all = element("option", { value: "" }, "All kinds");
    this.#kind.replaceChildren(all, ...kinds.map((kind) => element("option", { value: kind }, kind)));
    show(byId("filter-kind-box"), kinds.length > 1);
    this.#text.value = "";
    this.#limit = ROWS_AT_ONCE;
  }

  #refilter() {
    if (!this.#route) return;
    this.#limit = ROWS_AT_ONCE;
    this.#body.closest(".table").scrollTop = 0;
    this.#render();
  }

  #render() {
    const wanted = { verdict: this.#verdict.value, kind: this.#kind.value, text: this.#text.value };
    const kept = keepWanted(this.#pairs, wanted);
    const isCompared = Boolean(this.#route.other);
    const titles = isCompared
      ? ["A", "B", "Question", "Answer of A", "Answer of B"]
      : ["Verdict", "Question", "Answer", "Confidence", "Rounds"];
    this.#head.replaceChildren(element("tr", {}, ...titles.map((title) => element("th", { scope: "col" }, title))));
    const row = (pair) => this.#row(pair, isCompared ? comparedCells(pair) : cells(pair));
    this.#body.replaceChildren(...kept.slice(0, this.#limit).map(row));
    const count = `${kept.length.toLocaleString("en")} of ${counted(this.#pairs.length, "question")}`;
    this.#count.textContent = kept.length || !this.#pairs.length ? count : "No question fits.";
    show(this.#body.closest(".table"), kept.length > 0);
    show(this.#more, kept.length > this.#limit);
  }

  #row(pair, { before, after }) {
    const { id, other, question } = this.#route;
    const link = element("a", { href: runHash(id, { question: pair.id, other }), dir: "auto" }, pair.question);
    const facts = [pair.kind, pair.video].filter(Boolean).join(" · ");
    const middle = element("td", { class: "asked" }, link, prose("span", "soft", facts));
    return element(
      "tr",
      { "data-id": pair.id, "aria-current": pair.id === question ? "true" : null },
      ...before,
      middle,
      ...after,
    );
  }
}

function cells({ one }) {
  const confidence = one.confidence === null ? "–" : one.confidence.toFixed(2);
  return {
    before: [verdictCell(one)],
    after: [
      answerCell(one),
      element("td", { class: "number" }, confidence),
      element("td", { class: "number" }, String(one.num_rounds)),
    ],
  };
}

function comparedCells({ one, other }) {
  return { before: [verdictCell(one), verdictCell(other)], after: [answerCell(one), answerCell(other)] };
}

function answerCell(row) {
  return prose("td", "answer-cell", row ? row.answer || row.outcome : "–");
}

function verdictCell(row) {
  return element("td", {}, verdictBadge(verdictOf(row)));
}

/** @param {import("./comparison.js").Verdict} verdict */
export function verdictBadge(verdict) {
  const sign = element("span", { "aria-hidden": "true" }, VERDICT_SIGNS[verdict]);
  return element("span", { class: `verdict ${verdict}` }, sign, ` ${VERDICT_WORDS[verdict]}`);
}
