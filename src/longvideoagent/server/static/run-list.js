/** Recorded evaluation runs to choose from. */

import { byId, element, prose, show } from "./dom.js";
import { readRuns } from "./api.js";
import { runHash } from "./routes.js";
import { percent } from "./format.js";

export class RunList {
  #list = byId("run-list");
  /** @type {import("./api.js").Run[]} */
  #runs = [];
  #chosen = null;

  /** Those that can be read. */
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
    show(byId("no-runs"), this.#runs.length === 0);
    this.#list.replaceChildren(...this.#runs.map((run) => this.#item(run)));
  }

  #item(run) {
    if (run.error)
      return element(
        "li",
        { "data-id": run.id },
        element("div", {}, prose("span", "name", run.name), prose("p", "fault", run.error)),
      );
    const progress = `${run.num_finished.toLocaleString("en")} of ${run.num_questions.toLocaleString("en")}`;
    const accuracy = run.accuracy === null ? "" : ` · ${percent(run.accuracy)} right`;
    const link = element(
      "a",
      { href: runHash(run.id), "aria-current": run.id === this.#chosen ? "true" : null },
      prose("span", "name", run.name),
      element("span", { class: "soft" }, prose("span", "", `${run.dataset} ${run.split}`), ` · ${progress}${accuracy}`),
    );
    return element("li", { "data-id": run.id }, link);
  }
}
