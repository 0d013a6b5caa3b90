/** The one place where failures are told: in words, with a way to try again where that can help. */

import { byId, prose, show } from "./dom.js";
import { RequestFailure } from "./api.js";

/** What a failure is about. One of files outlives the page's moving on to another file of the same lot. */
export const ABOUT = { page: "page", files: "files" };

export class Trouble {
  #box = byId("trouble");
  #list = byId("trouble-list");
  #again = byId("trouble-again");
  /** @type {{text: string, retry: (() => void)|null, about: string}[]} */
  #told = [];

  constructor() {
    this.#again.addEventListener("click", () => {
      const retries = this.#told.map(({ retry }) => retry).filter(Boolean);
      this.#keep(({ retry }) => !retry);
      for (const retry of retries) retry();
    });
    byId("trouble-close").addEventListener("click", () => this.clear());
  }

  /** @param {string} text @param {(() => void)|null} [retry] @param {string} [about] */
  tell(text, retry = null, about = ABOUT.page) {
    this.#keep((each) => each.text !== text);
    this.#told.push({ text, retry, about });
    this.#render();
  }

  /** Something has succeeded since: what was told about the same, or about all, is over. */
  clear(about = null) {
    this.#keep((each) => about !== null && each.about !== about);
  }

  /**
   * Do it; where a request of it fails, tell so, and offer to do it again where that can help. Once it is done, what
   * was told before is over.
   * @param {() => Promise<void>} work
   * @param {{about?: string, onGone?: ((text: string) => void)|null}} [rest] `onGone`: what it is about is not there
   */
  async guard(work, { about = ABOUT.page, onGone = null } = {}) {
    const before = new Set(this.#told);
    try {
      await work();
      this.#keep((each) => each.about !== ABOUT.page || !before.has(each));
    } catch (failure) {
      if (!(failure instanceof RequestFailure)) throw failure;
      if (failure.status === 404 && onGone) onGone(failure.message);
      else this.tell(failure.message, failure.isPassing ? () => this.guard(work, { about, onGone }) : null, about);
    }
  }

  #keep(isKept) {
    this.#told = this.#told.filter(isKept);
    this.#render();
  }

  #render() {
    this.#list.replaceChildren(...this.#told.map(({ text }) => prose("li", "", text)));
    show(
      this.#again,
      this.#told.some(({ retry }) => retry),
    );
    show(this.#box, this.#told.length > 0);
  }
}
