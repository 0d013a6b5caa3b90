/** Shows failed requests in one place, with a button to retry those that may succeed later. */

import { RequestError } from "./api.js";
import { byId, setVisible, textElement } from "./dom.js";

/** What an error is about. Errors about files stay while the page moves on to another file of the same upload. */
export const ABOUT = { page: "page", files: "files" };

export class ErrorBanner {
  #box = byId("error-banner");
  #list = byId("error-list");
  #retry = byId("error-retry");
  /** @type {{text: string, retry: (() => void)|null, about: string}[]} */
  #errors = [];

  constructor() {
    this.#retry.addEventListener("click", () => {
      const retries = this.#errors.map(({ retry }) => retry).filter(Boolean);
      this.#keep(({ retry }) => !retry);
      for (const retry of retries) retry();
    });
    byId("error-close").addEventListener("click", () => this.clear());
  }

  /** @param {string} text @param {(() => void)|null} [retry] @param {string} [about] */
  add(text, retry = null, about = ABOUT.page) {
    this.#keep((each) => each.text !== text);
    this.#errors.push({ text, retry, about });
    this.#render();
  }

  /** Remove the errors about one thing, or all errors. @param {string|null} [about] */
  clear(about = null) {
    this.#keep((each) => about !== null && each.about !== about);
  }

  /**
   * Run `work` and show the error of a failed request, with a retry if it may succeed later. Success removes the
   * errors that were shown before.
   * @param {() => Promise<void>} work
   * @param {{about?: string, onNotFound?: ((text: string) => void)|null}} [rest]
   */
  async guard(work, { about = ABOUT.page, onNotFound = null } = {}) {
    const before = new Set(this.#errors);
    try {
      await work();
      this.#keep((each) => each.about !== ABOUT.page || !before.has(each));
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      if (error.status === 404 && onNotFound) onNotFound(error.message);
      else this.add(error.message, error.isTransient ? () => this.guard(work, { about, onNotFound }) : null, about);
    }
  }

  #keep(predicate) {
    this.#errors = this.#errors.filter(predicate);
    this.#render();
  }

  #render() {
    this.#list.replaceChildren(...this.#errors.map(({ text }) => textElement("li", "", text)));
    setVisible(
      this.#retry,
      this.#errors.some(({ retry }) => retry),
    );
    setVisible(this.#box, this.#errors.length > 0);
  }
}
