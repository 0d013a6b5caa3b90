/** Tells people who cannot see the page what happens, one short sentence a change. */

import { isUnsure } from "./answer-view.js";
import { byId } from "./dom.js";
import { actionInWords, clock } from "./format.js";

/** @param {string} sentence */
export function announce(sentence) {
  byId("status").textContent = sentence;
}

/** Says what is new in one ask each time its state arrives. */
export class AskAnnouncer {
  #said = new Set();

  /** @param {import("./api.js").Ask} ask */
  tell(ask) {
    const fresh = sentences(ask).filter((sentence) => !this.#said.has(sentence));
    for (const sentence of fresh) this.#said.add(sentence);
    if (fresh.length) announce(fresh.join(" "));
  }

  /** Know all that is in it without saying it: only its end is told. */
  catchUp(ask) {
    for (const sentence of sentences(ask).slice(0, -1)) this.#said.add(sentence);
    this.tell(ask);
  }
}

function sentences(ask) {
  const told = [];
  if (ask.state === "queued" && ask.queue_position) told.push(`Queued at place ${ask.queue_position}.`);
  if (ask.stage) told.push(`Preparing: ${ask.stage}.`);
  const { trace: trajectory } = ask;
  if (trajectory?.first) told.push(`First grounding: ${came(trajectory.first)}`);
  trajectory?.rounds.forEach((round, index) => {
    told.push(ended(`Round ${index + 1}: ${does(round)}`));
    if (round.observed) told.push(`Round ${index + 1}: ${came(round.observed)}`);
  });
  if (ask.state === "failed") told.push(`It failed. ${ask.cause ?? ""}`);
  else if (ask.state === "stopped") told.push(ask.cause ? ended(`Stopped: ${ask.cause}`) : "Stopped.");
  else if (trajectory?.outcome)
    told.push(answered(trajectory));
  return told;
}

function answered(trajectory) {
  if (!trajectory.answer) return `No answer: ${trajectory.outcome}.`;
  return ended(`${isUnsure(trajectory) ? "Answer, not sure" : "Answer"}: ${trajectory.answer}`);
}

function does({ action, content }) {
  if (action === "look") return content.endsWith("?") ? `looks: ${content}` : `looks for ${content}`;
  return action === "answer" ? `answers ${content}` : actionInWords(action);
}

/** With a full stop, unless it ends in a mark of its own. */
function ended(sentence) {
  return /[.!?…]$/.test(sentence) ? sentence : `${sentence}.`;
}

function came(observed) {
  if (observed.kind === "grounding") return `clip ${observed.clip}, from ${clock(observed.start_s)}.`;
  if (observed.kind === "vision") return `the vision agent saw ${observed.frames_s.length} frames.`;
  return observed.text;
}
