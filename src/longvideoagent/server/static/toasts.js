/** What came of the files that were brought, one line for each, until the next ones are. */

import { announce } from "./announce.js";
import { byId, prose } from "./dom.js";

export class Notices {
  #list = byId("added");

  /** Other files are brought: what was told of the last ones is old. */
  begin() {
    this.#list.replaceChildren();
  }

  /** @param {string} text */
  tell(text) {
    this.#list.append(prose("li", "", text));
    announce(text);
  }
}
