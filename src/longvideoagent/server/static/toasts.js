/** Messages about added files, one line each, until the next upload starts. */

import { announce } from "./announce.js";
import { byId, textElement } from "./dom.js";

export class Toasts {
  #list = byId("toasts");

  clear() {
    this.#list.replaceChildren();
  }

  /** @param {string} text */
  add(text) {
    this.#list.append(textElement("li", "", text));
    announce(text);
  }
}
