/** The answer card: answer, confidence, evidence and cost. */

import { element, textElement } from "./dom.js";
import { evidenceLists } from "./evidence-view.js";
import { formatDuration, optionLabel, outcomeText, pluralize } from "./format.js";

const MAX_VISIBLE_MOMENTS = 5;
const MIN_CONFIDENCE = 0.3; // an answer below it is shown as not sure

/**
 * @param {import("./api.js").Trace} trace
 * @param {import("./evidence-view.js").PlaybackContext} playback
 * @returns {Node[]}
 */
export function showAnswer(trace, playback) {
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
    textElement("p", `outcome ${outcome}`, [outcomeText(outcome), cause].filter(Boolean).join(". ")),
    confidence === null ? null : confidenceBar(confidence),
    evidence.length ? element("h4", {}, "Evidence") : element("p", { class: "muted" }, "No evidence is given."),
    ...evidenceLists(playback, evidence, MAX_VISIBLE_MOMENTS),
    hint ? textElement("p", "hint muted", hint) : null,
    warnings.length
      ? element("ul", { class: "warnings" }, ...warnings.map((warning) => textElement("li", "", warning)))
      : null,
    element("p", { class: "cost" }, costText(trace)),
  ];
  return nodes.filter(Boolean);
}

/** Whether there is an answer with a low confidence. */
export function isUnsure({ answer, confidence }) {
  return Boolean(answer) && confidence !== null && confidence < MIN_CONFIDENCE;
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

function costText({ rounds, usage }) {
  return [pluralize(rounds.length, "round"), ...usageTexts(usage), formatDuration(usage.seconds)].join(" · ");
}

/**
 * Tokens, and dollars if a price is known.
 * @param {import("./api.js").Trace["usage"]} usage
 */
export function usageTexts({ prompt_tokens, completion_tokens, usd }) {
  const tokens = pluralize(prompt_tokens + completion_tokens, "token");
  return usd ? [tokens, `$${usd.toFixed(usd < 0.1 ? 4 : 2)}`] : [tokens];
}
