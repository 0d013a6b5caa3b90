/** Scrolls to the newest step of a growing card until the reader scrolls up; resumes at the end of the card. */

import { scrollToElement } from "./dom.js";

const NEAR_PX = 120;
const BACK_KEYS = ["ArrowUp", "PageUp", "Home"];

export class Autoscroll {
  /** @type {HTMLElement|null} */
  #target = null;
  #isFollowing = false;

  constructor() {
    const pauseIf = (isScrollingUp) => {
      if (isScrollingUp) this.#isFollowing = false;
    };
    const passive = { passive: true };
    addEventListener("wheel", (event) => pauseIf(event.deltaY < 0), passive);
    addEventListener("touchmove", () => pauseIf(true), passive);
    addEventListener("keydown", (event) => pauseIf(BACK_KEYS.includes(event.key)));
    addEventListener("scroll", () => this.#resume(), passive);
  }

  /** @param {HTMLElement} target */
  start(target) {
    this.#target = target;
    this.#isFollowing = true;
  }

  stop() {
    this.#target = null;
    this.#isFollowing = false;
  }

  /** @param {HTMLElement} newest */
  follow(newest) {
    if (this.#isFollowing) scrollToElement(newest);
  }

  #resume() {
    if (this.#target && this.#target.getBoundingClientRect().bottom < innerHeight + NEAR_PX) this.#isFollowing = true;
  }
}
