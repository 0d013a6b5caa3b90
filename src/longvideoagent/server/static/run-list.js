/** Recorded evaluation runs to choose from. */

import { readRuns } from "./api.js";
import { byId, element, setVisible, textElement } from "./dom.js";
import { formatPercent } from "./format.js";
import { runHash } from "./routes.js";

export class RunList {
  #list = byId("run-list");
  /** @type {import("./api.js").Run[]} */
  #runs = [];
  #chosen = null;

  /** The runs that can be read. */
  get runs() {
    return this.#runs.filter((run) => !run.error);
  }

  async load() {
    const runs = await readRuns();
    if (runs.length && JSON.stringify(runs) === JSON.stringify(this.#runs)) return;
    this.#runs = runs;
    this.#render();
  }

  /** @param {string|null} id */
  choose(id) {
    this.#chosen = id;
    this.#render();
  }

  #render() {
    setVisible(byId("no-runs"), this.#runs.length === 0);
    this.#list.replaceChildren(...this.#runs.map((run) => this.#item(run)));
  }

  #item(run) {
    if (run.error)
      return element(
        "li",
        { "data-id": run.id },
        element("div", {}, textElement("span", "name", run.name), textElement("p", "error", run.error)),
      );
    const progress = `${run.num_finished.toLocaleString("en")} of ${run.num_questions.toLocaleString("en")}`;
    const accuracy = run.accuracy === null ? "" : ` · ${formatPercent(run.accuracy)} correct`;
    const link = element(
      "a",
      { href: runHash(run.id), "aria-current": run.id === this.#chosen ? "true" : null },
      textElement("span", "name", run.name),
      element(
        "span",
        { class: "muted" },
        textElement("span", "", `${run.dataset} ${run.split}`),
        ` · ${progress}${accuracy}`,
      ),
    );
    return element("li", { "data-id": run.id }, link);
  }
}
