/** The questions of one or two runs as a table with filters. */

import { COMPARED_FILTERS, filterPairs, VERDICT_FILTERS, verdictOf } from "./comparison.js";
import { byId, element, setVisible, textElement } from "./dom.js";
import { pluralize } from "./format.js";
import { runHash } from "./routes.js";

const ROWS_PER_PAGE = 200;
const VERDICT_SIGNS = { correct: "✓", wrong: "✗", failed: "!", unscored: "·", missing: "–" };
const VERDICT_LABELS = {
  correct: "correct",
  wrong: "wrong",
  failed: "failed",
  unscored: "not scored",
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
  #limit = ROWS_PER_PAGE;

  constructor() {
    for (const filter of [this.#verdict, this.#kind, this.#text])
      filter.addEventListener("input", () => this.#applyFilters());
    this.#more.addEventListener("click", () => {
      this.#limit += ROWS_PER_PAGE;
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
    const isOtherRun = !this.#route || this.#route.id !== route.id || this.#route.other !== route.other;
    this.#pairs = pairs;
    this.#route = route;
    if (isOtherRun) this.#renderFilters();
    this.#render();
  }

  /** Remove the rows while other runs are being read: their links lead to the old runs. */
  clear() {
    this.#pairs = [];
    this.#route = null;
    this.#body.replaceChildren();
    this.#count.textContent = "";
    setVisible(this.#more, false);
  }

  /** Mark the chosen question. */
  choose(route) {
    this.#route = route;
    for (const row of this.#body.children) {
      if (row.dataset.id === route.question) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
  }

  #renderFilters() {
    const filters = this.#route.other ? COMPARED_FILTERS : VERDICT_FILTERS;
    this.#verdict.replaceChildren(...filters.map(({ value, label }) => element("option", { value }, label)));
    const kinds = [...new Set(this.#pairs.map(({ kind }) => kind))].filter(Boolean).sort();
    const all = element("option", { value: "" }, "All kinds");
    this.#kind.replaceChildren(all, ...kinds.map((kind) => element("option", { value: kind }, kind)));
    setVisible(byId("filter-kind-box"), kinds.length > 1);
    this.#text.value = "";
    this.#limit = ROWS_PER_PAGE;
  }

  #applyFilters() {
    if (!this.#route) return;
    this.#limit = ROWS_PER_PAGE;
    this.#body.closest(".table").scrollTop = 0;
    this.#render();
  }

  #render() {
    const filter = { verdict: this.#verdict.value, kind: this.#kind.value, text: this.#text.value };
    const matching = filterPairs(this.#pairs, filter);
    const isCompared = Boolean(this.#route.other);
    const titles = isCompared
      ? ["A", "B", "Question", "Answer of A", "Answer of B"]
      : ["Verdict", "Question", "Answer"];
    this.#head.replaceChildren(element("tr", {}, ...titles.map((title) => element("th", { scope: "col" }, title))));
    const row = (pair) => this.#row(pair, isCompared ? comparedCells(pair) : cells(pair));
    this.#body.replaceChildren(...matching.slice(0, this.#limit).map(row));
    const count = `${matching.length.toLocaleString("en")} of ${pluralize(this.#pairs.length, "question")}`;
    this.#count.textContent = matching.length || !this.#pairs.length ? count : "No question matches.";
    setVisible(this.#body.closest(".table"), matching.length > 0);
    setVisible(this.#more, matching.length > this.#limit);
  }

  #row(pair, { before, after }) {
    const { id, other, question } = this.#route;
    const link = element("a", { href: runHash(id, { question: pair.id, other }), dir: "auto" }, pair.question);
    const facts = [pair.kind, pair.video].filter(Boolean).join(" · ");
    const middle = element("td", { class: "question-cell" }, link, textElement("span", "muted", facts));
    return element(
      "tr",
      { "data-id": pair.id, "aria-current": pair.id === question ? "true" : null },
      ...before,
      middle,
      ...after,
    );
  }
}

function cells({ first }) {
  const cell = answerCell(first);
  const confidence = first.confidence === null ? "" : `confidence ${first.confidence.toFixed(2)}`;
  const facts = [confidence, pluralize(first.num_rounds, "round")].filter(Boolean).join(" · ");
  cell.append(element("span", { class: "muted number" }, facts));
  return { before: [verdictCell(first)], after: [cell] };
}

function comparedCells({ first, second }) {
  return { before: [verdictCell(first), verdictCell(second)], after: [answerCell(first), answerCell(second)] };
}

function answerCell(row) {
  return textElement("td", "answer-cell", row ? row.answer || row.outcome : "–");
}

function verdictCell(row) {
  return element("td", {}, verdictBadge(verdictOf(row)));
}

/** @param {import("./comparison.js").Verdict} verdict */
export function verdictBadge(verdict) {
  const sign = element("span", { "aria-hidden": "true" }, VERDICT_SIGNS[verdict]);
  return element("span", { class: `verdict ${verdict}` }, sign, ` ${VERDICT_LABELS[verdict]}`);
}
