/** What was asked before, newest first. */

import { byId, element, prose, show } from "./dom.js";
import { readAsks } from "./api.js";
import { repeat } from "./refresh.js";
import { askHash } from "./routes.js";
import { moment } from "./format.js";

const REFRESH_MS = 4000; // others ask too, in other browsers

export class History {
  #list = byId("history");
  /** @type {import("./api.js").AskLine[]} */
  #asks = [];
  #chosen = null;
  #updates = 0;

  constructor() {
    repeat(() => this.load(), REFRESH_MS);
  }

  async load() {
    const updates = this.#updates;
    const asks = await readAsks();
    // What this page was told meanwhile is newer than the list that was on its way.
    if (updates !== this.#updates || (asks.length && JSON.stringify(asks) === JSON.stringify(this.#asks))) return;
    this.#asks = asks;
    this.#render();
  }

  /** @param {string|null} id */
  choose(id) {
    this.#chosen = id;
    this.#render();
  }

  /** Take over what is newer about one of them. @param {import("./api.js").AskLine} ask */
  update(ask) {
    const index = this.#asks.findIndex(({ id }) => id === ask.id);
    const old = this.#asks[index];
    if (old && old.state === ask.state && old.outcome === ask.outcome && old.answer === ask.answer) return;
    this.#updates += 1;
    if (old) this.#asks[index] = ask;
    else this.#asks.unshift(ask);
    this.#render();
  }

  #render() {
    show(byId("no-history"), this.#asks.length === 0);
    const focused = document.activeElement?.closest?.("#history a")?.getAttribute("href");
    this.#list.replaceChildren(...this.#asks.map((ask) => this.#item(ask)));
    if (focused) [...this.#list.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
  }

  #item(ask) {
    const result = ask.answer || ask.outcome || ask.state;
    const link = element(
      "a",
      { href: askHash(ask.id), "aria-current": ask.id === this.#chosen ? "true" : null },
      prose("span", "name", ask.question),
      prose("span", `result ${ask.outcome ?? ask.state}`, result),
      element("span", { class: "soft origin" }, prose("span", "", ask.video_name), `· ${moment(ask.created_at)}`),
    );
    return element("li", { "data-id": ask.id, "data-state": ask.state }, link);
  }
}
