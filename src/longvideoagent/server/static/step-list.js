/** A trajectory's steps as cards. Existing cards stay; later results are rendered into them. */

import { element, renderIfChanged, textElement } from "./dom.js";
import { actionLabel, formatDuration, optionLabel } from "./format.js";
import { showObservation } from "./observation-view.js";

const MAX_THOUGHT_CHARS = 360; // longer thoughts are folded
const CONTENT_LABELS = {
  look: "Asks the vision agent",
  relocate: "Asks the grounding agent",
  answer: "Answers",
  invalid: "The loop says",
};
const WAITING_TEXTS = { look: "The vision agent is looking …", relocate: "The grounding agent is searching …" };

/** The card of one step, which may be rendered again with a later state. */
class StepCard {
  #head = element("h3");
  #content = element("div", { class: "step-content" });
  #observation = element("div", { class: "observation" });
  element;

  constructor(kind, attributes = {}) {
    this.element = element(
      "li",
      { class: "step", "data-kind": kind, ...attributes },
      this.#head,
      this.#content,
      this.#observation,
    );
  }

  setHead(key, ...children) {
    renderIfChanged(this.#head, key, () => children);
  }

  setContent(key, build) {
    renderIfChanged(this.#content, key, build);
  }

  setObservation(key, build) {
    renderIfChanged(this.#observation, key, build);
  }
}

export class StepList {
  #list;
  #pending = element("li", { class: "pending" });
  /** @type {StepCard|null} */
  #first = null;
  /** @type {StepCard[]} */
  #rounds = [];

  /** @param {HTMLElement} list */
  constructor(list) {
    this.#list = list;
  }

  /**
   * @param {import("./api.js").Trajectory} trajectory
   * @param {import("./evidence-view.js").PlaybackContext} playback
   * @param {boolean} isRunning
   */
  show(trajectory, playback, isRunning) {
    if (trajectory.first) this.#showFirst(trajectory.first, playback);
    trajectory.rounds.forEach((round, index) => this.#showRound(round, index, playback, isRunning));
    this.#showPending(trajectory, isRunning);
  }

  #append(card) {
    this.#list.append(card.element);
    return card;
  }

  #showFirst(observed, playback) {
    const kind = observed.kind === "vision" ? "look" : observed.kind;
    this.#first ??= this.#append(new StepCard(kind));
    const title = { grounding: "First grounding", vision: "First observation", notice: "Notice" }[observed.kind];
    this.#first.setHead([observed.seconds], title, durationNode(observed.seconds));
    this.#first.setObservation([observed, playback.video], () => showObservation(playback, observed));
  }

  #showRound(round, index, playback, isRunning) {
    const { action, clip, thought, content, observed } = round;
    this.#rounds[index] ??= this.#append(new StepCard(action, { "data-round": index + 1 }));
    const card = this.#rounds[index];
    const clipNode =
      clip && action === "look" ? element("span", { class: "muted" }, " in ", textElement("span", "", clip)) : null;
    const total_s = round.seconds + (observed?.seconds ?? 0);
    const title = element("span", {}, `Round ${index + 1}: ${actionLabel(action)}`);
    card.setHead([action, clip, total_s], ...[title, clipNode, durationNode(total_s)].filter(Boolean));
    card.setContent([thought, content], () => contentNodes(thought, action, content));
    const isWaiting = isRunning && !observed && action in WAITING_TEXTS;
    card.setObservation([observed, isWaiting, playback.video], () => {
      if (observed) return showObservation(playback, observed);
      return isWaiting ? [element("p", { class: "waiting" }, WAITING_TEXTS[action])] : [];
    });
  }

  /** Show at the end of the list which agent is working, unless a card shows it. */
  #showPending({ first, rounds }, isRunning) {
    const last = rounds.at(-1);
    const isOtherWaiting = last && !last.observed && last.action in WAITING_TEXTS;
    const text = first || rounds.length ? "The master is thinking …" : "The grounding agent is searching …";
    const isVisible = isRunning && !isOtherWaiting && last?.action !== "answer";
    if (this.#pending.textContent !== text) this.#pending.replaceChildren(element("p", { class: "waiting" }, text));
    if (isVisible) this.#list.append(this.#pending);
    else this.#pending.remove();
  }
}

function durationNode(seconds) {
  return element("span", { class: "seconds" }, formatDuration(seconds));
}

function contentNodes(thought, action, content) {
  const nodes = [];
  if (thought.length > MAX_THOUGHT_CHARS) {
    const start = `${thought.slice(0, MAX_THOUGHT_CHARS / 2).trimEnd()} …`;
    const summary = textElement("summary", "", start);
    nodes.push(element("details", { class: "thought" }, summary, textElement("p", "", thought)));
  } else if (thought) nodes.push(textElement("p", "thought", thought));
  if (content) {
    const label = element("span", { class: "content-label" }, CONTENT_LABELS[action] ?? action);
    nodes.push(element("p", { class: "content" }, label, textElement("span", "", content)));
  }
  return nodes;
}

/** Options as a list; the chosen and the gold option are also marked in text. */
export function optionList(options, chosen, gold = null) {
  const items = options.map((option, index) => {
    const notes = [index === chosen ? "chosen" : "", index === gold ? "gold" : ""].filter(Boolean);
    const text = notes.map((note) => (note === "gold" ? "gold answer" : note)).join(", ");
    const note = text ? element("span", { class: "note" }, text) : null;
    const name = element("span", { class: "option-name" }, optionLabel(index));
    return element("li", { class: notes.join(" ") || null }, name, textElement("span", "", option), note);
  });
  return element("ol", { class: "option-list" }, ...items);
}
