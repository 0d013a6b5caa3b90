/** The one place where failures are told: in words, with a way to try again where there is one. */

import { byId, show } from "./element.js";
import { RequestFailure } from "./api.js";

export class Trouble {
  #box = byId("trouble");
  #text = byId("trouble-text");
  #again = byId("trouble-again");
  #retry = () => {};

  constructor() {
    this.#again.addEventListener("click", () => {
      this.clear();
      this.#retry();
    });
    byId("trouble-close").addEventListener("click", () => this.clear());
  }

  /** @param {string} text @param {(() => void)|null} [retry] */
  tell(text, retry = null) {
    this.#text.textContent = text;
    this.#retry = retry ?? (() => {});
    show(this.#again, retry !== null);
    show(this.#box, true);
  }

  clear() {
    show(this.#box, false);
  }

  /** Do it; where a request of it fails, tell so and offer to do it again. */
  async guard(work) {
    try {
      await work();
    } catch (failure) {
      if (!(failure instanceof RequestFailure)) throw failure;
      this.tell(failure.message, () => this.guard(work));
    }
  }
}
