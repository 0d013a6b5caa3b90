/** The answer card: answer, confidence, evidence and cost. */

import { element, textElement } from "./dom.js";
import { evidenceLists } from "./evidence-view.js";
import { formatDuration, optionLabel, outcomeText, pluralize } from "./format.js";

const MAX_VISIBLE_MOMENTS = 5;
const MAX_GUESS_CONFIDENCE = 0.5; // of an answer that is shown as not sure, as in agents/hint.py
const MIN_SHOWN_CONFIDENCE = 0.005; // an answer below it is a guess, without a number that rounds to 0.00

/**
 * @param {import("./api.js").Trace} trace
 * @param {import("./evidence-view.js").PlaybackContext} playback
 * @param {((spec: string|null) => Node)|null} betterTeam builds what leads to a better team than that of the hint
 * @returns {Node[]}
 */
export function showAnswer(trace, playback, betterTeam = null) {
  const { answer, option_index, outcome, cause, confidence, evidence, warnings, hint } = trace;
  const title = answer || "No answer";
  const nodes = [
    element("h3", { class: "muted" }, "Answer"),
    isUnsure(trace) ? element("p", { class: "low-confidence" }, "Not sure") : null,
    element(
      "p",
      { class: "answer-text" },
      option_index === null ? null : element("span", { class: "option-name" }, optionLabel(option_index)),
      textElement("span", "", title),
    ),
    textElement("p", `outcome ${outcome}`, [isGuess(trace) ? guessText(evidence) : outcomeText(outcome), cause].filter(Boolean).join(". ")),
    hasConfidence(trace) ? confidenceBar(confidence) : null,
    evidence.length ? element("h4", {}, "Evidence") : element("p", { class: "muted" }, "No evidence is given."),
    ...evidenceLists(playback, evidence, MAX_VISIBLE_MOMENTS),
    hint ? textElement("p", "hint muted", hint) : null,
    hint && betterTeam ? betterTeam(modelSpec(hint)) : null,
    warnings.length
      ? element("ul", { class: "warnings" }, ...warnings.map((warning) => textElement("li", "", warning)))
      : null,
    element("p", { class: "cost" }, costText(trace)),
  ];
  return nodes.filter(Boolean);
}

/** Whether there is an answer with a low confidence. */
export function isUnsure({ answer, confidence }) {
  return Boolean(answer) && confidence !== null && confidence <= MAX_GUESS_CONFIDENCE;
}

/** Whether there is an answer without any confidence in it. */
function isGuess({ answer, outcome, confidence }) {
  return Boolean(answer) && outcome === "answered" && confidence !== null && confidence < MIN_SHOWN_CONFIDENCE;
}

function guessText(evidence) {
  return evidence.length ? "a guess" : "a guess: nothing in the video supports it";
}

/** Whether a confidence says something: there is an answer, and it is not a guess. */
function hasConfidence(trace) {
  return Boolean(trace.answer) && trace.confidence !== null && !isGuess(trace);
}

/** The model spec that a hint names, or null. */
function modelSpec(hint) {
  return hint.match(/ -m (\S+)/)?.[1] ?? null;
}

function confidenceBar(confidence) {
  const fill = element("span", { class: "fill" });
  fill.style.width = `${100 * confidence}%`;
  return element(
    "p",
    { class: "confidence" },
    element("span", { class: "muted" }, "Confidence"),
    element("span", { class: "bar", "aria-hidden": "true" }, fill),
    element("span", { class: "number" }, confidence.toFixed(2)),
  );
}

function costText(trace) {
  const { rounds, usage } = trace;
  return [pluralize(rounds.length, "round"), ...usageTexts(usage), formatDuration(shownSeconds(trace))].join(" · ");
}

/** The seconds of all steps, each rounded as its card shows it, so that what a reader sees adds up to this. */
function shownSeconds({ first_grounding, rounds }) {
  const steps_s = rounds.map(({ reply, observation }) => reply.usage.seconds + (observation?.usage.seconds ?? 0));
  return [first_grounding?.usage.seconds ?? 0, ...steps_s].reduce((sum, step_s) => sum + Number(step_s.toFixed(1)), 0);
}

/**
 * Tokens, and dollars if a price is known.
 * @param {import("./api.js").Trace["usage"]} usage
 */
export function usageTexts({ prompt_tokens, completion_tokens, usd }) {
  const tokens = pluralize(prompt_tokens + completion_tokens, "token");
  return usd ? [tokens, `$${usd.toFixed(usd < 0.1 ? 4 : 2)}`] : [tokens];
}
