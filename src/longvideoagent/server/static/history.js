/** Earlier questions, newest first. */

import { readJobs } from "./api.js";
import { byId, element, setVisible, textElement } from "./dom.js";
import { formatDate } from "./format.js";
import { poll } from "./refresh.js";
import { jobHash } from "./routes.js";

const REFRESH_MS = 4000; // other browsers ask questions too

export class History {
  #list = byId("history");
  /** @type {import("./api.js").JobSummary[]} */
  #jobs = [];
  #chosen = null;
  #updates = 0;

  constructor() {
    poll(() => this.load(), REFRESH_MS);
  }

  async load() {
    const updates = this.#updates;
    const jobs = await readJobs();
    // An update that arrived during the request is newer than the list.
    if (updates !== this.#updates || (jobs.length && JSON.stringify(jobs) === JSON.stringify(this.#jobs))) return;
    this.#jobs = jobs;
    this.#render();
  }

  /** @param {string|null} id */
  choose(id) {
    this.#chosen = id;
    this.#render();
  }

  /** Update or add one job. @param {import("./api.js").JobSummary} job */
  update(job) {
    const index = this.#jobs.findIndex(({ id }) => id === job.id);
    const old = this.#jobs[index];
    if (old && old.state === job.state && old.outcome === job.outcome && old.answer === job.answer && old.title === job.title)
      return;
    this.#updates += 1;
    if (old) this.#jobs[index] = job;
    else this.#jobs.unshift(job);
    this.#render();
  }

  /** Remove a job that was deleted. */
  remove(id) {
    this.#updates += 1;
    this.#jobs = this.#jobs.filter((job) => job.id !== id);
    this.#render();
  }

  #render() {
    setVisible(byId("no-history"), this.#jobs.length === 0);
    const focused = document.activeElement?.closest?.("#history a")?.getAttribute("href");
    this.#list.replaceChildren(...this.#jobs.map((job) => this.#item(job)));
    if (focused) [...this.#list.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
  }

  #item(job) {
    const result = job.answer || job.outcome || job.state;
    const link = element(
      "a",
      { href: jobHash(job.id), "aria-current": job.id === this.#chosen ? "true" : null },
      textElement("span", "name", job.title || job.question),
      textElement("span", `result ${job.outcome ?? job.state}`, result),
      element(
        "span",
        { class: "muted origin" },
        textElement("span", "", job.video_name),
        `· ${formatDate(job.created_at)}`,
      ),
    );
    return element("li", { "data-id": job.id, "data-state": job.state }, link);
  }
}
