/** A trajectory's steps as cards. Cards that are there stay as they are; what arrives later is filled in. */

import { element, fillFrom, prose } from "./dom.js";
import { showObserved } from "./observation-view.js";
import { actionInWords, optionName, took } from "./format.js";

const THOUGHT_IN_SIGHT = 360; // characters; longer ones are folded
const CONTENT_LEADS = {
  look: "Asks the vision agent",
  relocate: "Asks the grounding agent",
  answer: "Answers",
  invalid: "The loop says",
};
const WAITING = { look: "The vision agent is looking …", relocate: "The grounding agent is searching …" };

/** One card. `fill` may be called again with a later state of the same step. */
class Card {
  #head = element("h3");
  #said = element("div", { class: "said-box" });
  #observed = element("div", { class: "observed" });
  element;

  constructor(kind, attributes = {}) {
    this.element = element(
      "li",
      { class: "step", "data-kind": kind, ...attributes },
      this.#head,
      this.#said,
      this.#observed,
    );
  }

  head(key, ...children) {
    fillFrom(this.#head, key, () => children);
  }

  said(key, make) {
    fillFrom(this.#said, key, make);
  }

  observed(key, make) {
    fillFrom(this.#observed, key, make);
  }
}

export class Steps {
  #list;
  #pending = element("li", { class: "pending" });
  /** @type {Card|null} */
  #first = null;
  /** @type {Card[]} */
  #rounds = [];

  /** @param {HTMLElement} list */
  constructor(list) {
    this.#list = list;
  }

  /**
   * @param {import("./api.js").Trajectory} trajectory
   * @param {import("./evidence-view.js").Sight} sight
   * @param {boolean} isRunning
   */
  show(trajectory, sight, isRunning) {
    if (trajectory.first) this.#showFirst(trajectory.first, sight);
    trajectory.rounds.forEach((round, index) => this.#showRound(round, index, sight, isRunning));
    this.#showPending(trajectory, isRunning);
  }

  #append(card) {
    this.#list.append(card.element);
    return card;
  }

  #showFirst(observed, sight) {
    const kind = observed.kind === "vision" ? "look" : observed.kind;
    this.#first ??= this.#append(new Card(kind));
    const title = { grounding: "Grounding: where is it?", vision: "First look", notice: "Notice" }[observed.kind];
    this.#first.head([observed.seconds], title, seconds(observed.seconds));
    this.#first.observed([observed, sight.video], () => showObserved(sight, observed));
  }

  #showRound(round, index, sight, isRunning) {
    const { action, clip, thought, content, observed } = round;
    this.#rounds[index] ??= this.#append(new Card(action, { "data-round": index + 1 }));
    const card = this.#rounds[index];
    const where =
      clip && action === "look" ? element("span", { class: "soft" }, " in ", prose("span", "", clip)) : null;
    const whole_s = round.seconds + (observed?.seconds ?? 0);
    const title = element("span", {}, `Round ${index + 1}: ${actionInWords(action)}`);
    card.head([action, clip, whole_s], ...[title, where, seconds(whole_s)].filter(Boolean));
    card.said([thought, content], () => said(thought, action, content));
    const isWaiting = isRunning && !observed && action in WAITING;
    card.observed([observed, isWaiting, sight.video], () => {
      if (observed) return showObserved(sight, observed);
      return isWaiting ? [element("p", { class: "waiting" }, WAITING[action])] : [];
    });
  }

  /** The end of the list says who is at work, where no card does. */
  #showPending({ first, rounds }, isRunning) {
    const last = rounds.at(-1);
    const isElsewhere = last && !last.observed && last.action in WAITING;
    const text = first || rounds.length ? "The master is thinking …" : "The grounding agent is searching …";
    const isShown = isRunning && !isElsewhere && last?.action !== "answer";
    if (this.#pending.textContent !== text) this.#pending.replaceChildren(element("p", { class: "waiting" }, text));
    if (isShown) this.#list.append(this.#pending);
    else this.#pending.remove();
  }
}

function seconds(time_s) {
  return element("span", { class: "seconds" }, took(time_s));
}

function said(thought, action, content) {
  const shown = [];
  if (thought.length > THOUGHT_IN_SIGHT) {
    const start = `${thought.slice(0, THOUGHT_IN_SIGHT / 2).trimEnd()} …`;
    shown.push(element("details", { class: "thought" }, prose("summary", "", start), prose("p", "", thought)));
  } else if (thought) shown.push(prose("p", "thought", thought));
  if (content) {
    const lead = element("span", { class: "lead" }, CONTENT_LEADS[action] ?? action);
    shown.push(element("p", { class: "content" }, lead, prose("span", "", content)));
  }
  return shown;
}

/** Options as a list, the chosen and the right one marked in words too. */
export function optionList(options, chosen, gold = null) {
  const items = options.map((option, index) => {
    const notes = [index === chosen ? "chosen" : "", index === gold ? "gold" : ""].filter(Boolean);
    const words = notes.map((note) => (note === "gold" ? "right answer" : note)).join(", ");
    const note = words ? element("span", { class: "note" }, words) : null;
    const name = element("span", { class: "option-name" }, optionName(index));
    return element("li", { class: notes.join(" ") || null }, name, prose("span", "", option), note);
  });
  return element("ol", { class: "option-list" }, ...items);
}
