/** A trace's steps as cards. Existing cards stay; later results are rendered into them. */

import { actionIcon, actionLabel, agentIcon, agentOf, isError, isFinal } from "./actions.js";
import { element, renderIfChanged, textElement } from "./dom.js";
import { formatDuration, optionLabel } from "./format.js";
import { showObservation } from "./observation-view.js";

const MAX_THOUGHT_CHARS = 360; // longer thoughts are folded

/** The card of one step, which may be rendered again with a later state. */
class StepCard {
  #head = element("h3");
  #content = element("div", { class: "step-content" });
  #observation = element("div", { class: "observation" });
  element;

  constructor(kind, icon, attributes = {}) {
    this.element = element(
      "li",
      { class: "step", "data-kind": kind, ...attributes },
      element("span", { class: "step-icon", "aria-hidden": "true" }, icon),
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
   * @param {import("./api.js").Trace} trace
   * @param {import("./evidence-view.js").PlaybackContext} playback
   * @param {boolean} isRunning
   */
  show(trace, playback, isRunning) {
    if (trace.first_grounding) this.#showFirst(trace.first_grounding, playback);
    trace.rounds.forEach((round, index) => this.#showRound(round, index, playback, isRunning));
    this.#showPending(trace, isRunning);
  }

  #append(card) {
    this.#list.append(card.element);
    return card;
  }

  #showFirst(observation, playback) {
    const { kind, usage } = observation;
    this.#first ??= this.#append(new StepCard(kind, agentIcon("grounding"), { "data-error": kind === "notice" }));
    this.#first.setHead([usage.seconds], "First grounding", durationNode(usage.seconds));
    this.#first.setObservation([observation, playback.video, playback.clips.length], () =>
      showObservation(playback, observation),
    );
  }

  #showRound(round, index, playback, isRunning) {
    const { action, clip, thought, argument, observation } = round;
    const attributes = { "data-round": index + 1, "data-error": isError(action) };
    this.#rounds[index] ??= this.#append(new StepCard(action, actionIcon(action), attributes));
    const card = this.#rounds[index];
    const clipNode = clip ? element("span", { class: "muted" }, " in ", textElement("span", "", clip)) : null;
    const total_s = round.reply.usage.seconds + (observation?.usage.seconds ?? 0);
    const title = element("span", {}, `Round ${index + 1}: ${actionLabel(action)}`);
    card.setHead([action, clip, total_s], ...[title, clipNode, durationNode(total_s)].filter(Boolean));
    card.setContent([thought, argument], () => contentNodes(thought, action, argument));
    const isWaiting = isRunning && !observation && agentOf(action);
    card.setObservation([observation, isWaiting, playback.video, playback.clips.length], () => {
      if (observation) return showObservation(playback, observation);
      return isWaiting ? [waitingNode(agentOf(action))] : [];
    });
  }

  /** Show at the end of the list which agent is working, unless a card shows it. */
  #showPending({ first_grounding, rounds }, isRunning) {
    const last = rounds.at(-1);
    const isShownByCard = last && !last.observation && agentOf(last.action);
    const agent = first_grounding || rounds.length ? "master" : "grounding";
    const isVisible = isRunning && !isShownByCard && !isFinal(last?.action);
    renderIfChanged(this.#pending, agent, () => [waitingNode(agent)]);
    if (isVisible) this.#list.append(this.#pending);
    else this.#pending.remove();
  }
}

function waitingNode(agent) {
  const text = agent === "master" ? "The master is working …" : `The ${agent} agent is working …`;
  return element("p", { class: "waiting" }, text);
}

function durationNode(seconds) {
  return element("span", { class: "seconds" }, formatDuration(seconds));
}

function contentNodes(thought, action, argument) {
  const nodes = [];
  if (thought.length > MAX_THOUGHT_CHARS) {
    const start = `${thought.slice(0, MAX_THOUGHT_CHARS / 2).trimEnd()} …`;
    const summary = textElement("summary", "", start);
    nodes.push(element("details", { class: "thought" }, summary, textElement("p", "", thought)));
  } else if (thought) nodes.push(textElement("p", "thought", thought));
  if (argument) {
    const agent = agentOf(action);
    const label = agent ? element("span", { class: "content-label" }, `Asks the ${agent} agent`) : null;
    nodes.push(element("p", { class: "content" }, label, textElement("span", "", argument)));
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
