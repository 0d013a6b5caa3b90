/** Announces changes to screen readers, one short sentence each. */

import { actionLabel } from "./actions.js";
import { isUnsure } from "./answer-view.js";
import { byId } from "./dom.js";
import { formatTimestamp, pluralize } from "./format.js";
import { locatedClip } from "./observation.js";

/** @param {string} sentence */
export function announce(sentence) {
  byId("status").textContent = sentence;
}

/** Announces what is new in one job whenever its state arrives. */
export class JobAnnouncer {
  #announced = new Set();

  /** @param {import("./api.js").Job} job */
  announceNew(job) {
    const unannounced = sentences(job).filter((sentence) => !this.#announced.has(sentence));
    for (const sentence of unannounced) this.#announced.add(sentence);
    if (unannounced.length) announce(unannounced.join(" "));
  }

  /** Announce only the last sentence of a job that has ended. */
  announceEnd(job) {
    for (const sentence of sentences(job).slice(0, -1)) this.#announced.add(sentence);
    this.announceNew(job);
  }
}

function sentences(job) {
  const texts = [];
  if (job.state === "queued" && job.queue_position) texts.push(`Queued at position ${job.queue_position}.`);
  const { trace } = job;
  if (job.stage) texts.push(withFullStop(trace ? job.stage : `Preparing: ${job.stage}`)); // later it is a retry
  if (trace?.first_grounding) texts.push(`First grounding: ${describeResult(trace.first_grounding)}`);
  trace?.rounds.forEach((round, index) => {
    texts.push(withFullStop(`Round ${index + 1}: ${describeAction(round)}`));
    if (round.observation) texts.push(`Round ${index + 1}: ${describeResult(round.observation)}`);
  });
  if (job.state === "failed") texts.push(`It failed. ${job.cause ?? ""}`);
  else if (job.state === "stopped") texts.push(job.cause ? withFullStop(`Stopped: ${job.cause}`) : "Stopped.");
  else if (trace?.outcome) texts.push(describeAnswer(trace));
  return texts;
}

function describeAnswer(trace) {
  if (!trace.answer) return `No answer: ${trace.outcome}.`;
  return withFullStop(`${isUnsure(trace) ? "Answer, not sure" : "Answer"}: ${trace.answer}`);
}

function describeAction({ action, argument }) {
  return argument ? `${actionLabel(action)}: ${argument}` : actionLabel(action);
}

/** Add a full stop unless the sentence ends in punctuation. */
function withFullStop(sentence) {
  return /[.!?…]$/.test(sentence) ? sentence : `${sentence}.`;
}

function describeResult(observation) {
  if (observation.kind === "grounding") {
    const { start_s } = locatedClip(observation);
    return `${observation.title} clip ${observation.clip}, from ${formatTimestamp(start_s)}.`;
  }
  if (observation.kind === "vision")
    return `${observation.title} ${pluralize(observation.frame_times_s.length, "frame")}.`;
  return withFullStop(observation.text);
}
