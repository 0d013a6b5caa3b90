/** Keeps the newest of what grows in sight until the reader scrolls away, and again once they are back at its end. */

import { bringIntoSight } from "./dom.js";

const NEAR_PX = 120;
const BACK_KEYS = ["ArrowUp", "PageUp", "Home"];

export class Follower {
  /** @type {HTMLElement|null} */
  #growing = null;
  #isFollowing = false;

  constructor() {
    const leave = (isLeaving) => {
      if (isLeaving) this.#isFollowing = false;
    };
    const quietly = { passive: true };
    addEventListener("wheel", (event) => leave(event.deltaY < 0), quietly);
    addEventListener("touchmove", () => leave(true), quietly);
    addEventListener("keydown", (event) => leave(BACK_KEYS.includes(event.key)));
    addEventListener("scroll", () => this.#takeUp(), quietly);
  }

  /** @param {HTMLElement} growing */
  start(growing) {
    this.#growing = growing;
    this.#isFollowing = true;
  }

  stop() {
    this.#growing = null;
    this.#isFollowing = false;
  }

  /** @param {HTMLElement} newest */
  reach(newest) {
    if (this.#isFollowing) bringIntoSight(newest);
  }

  #takeUp() {
    if (this.#growing && this.#growing.getBoundingClientRect().bottom < innerHeight + NEAR_PX) this.#isFollowing = true;
  }
}
