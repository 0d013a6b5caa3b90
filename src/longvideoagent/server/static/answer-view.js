/** The answer card: what it answers, how sure it is, on what evidence and at what cost. */

import { element, prose } from "./dom.js";
import { evidenceLists } from "./evidence-view.js";
import { counted, optionName, outcomeInWords, took } from "./format.js";

const MOMENTS_IN_SIGHT = 5;
const LEAST_SURE = 0.3; // a lower confidence is no more than a guess

/** @param {import("./api.js").Trajectory} trajectory @param {import("./evidence-view.js").Sight} sight @returns {Node[]} */
export function showAnswer(trajectory, sight) {
  const { answer, option_index, outcome, cause, confidence, evidence, warnings } = trajectory;
  const title = answer || "No answer";
  const shown = [
    element("h3", { class: "soft" }, "Answer"),
    isUnsure(trajectory) ? element("p", { class: "unsure" }, "Not sure") : null,
    element(
      "p",
      { class: "answer-text" },
      option_index === null ? null : element("span", { class: "option-name" }, optionName(option_index)),
      prose("span", "", title),
    ),
    prose("p", `outcome ${outcome}`, [outcomeInWords(outcome), cause].filter(Boolean).join(". ")),
    confidence === null ? null : confidenceBar(confidence),
    evidence.length ? element("h4", {}, "Evidence") : element("p", { class: "soft" }, "No evidence is given."),
    ...evidenceLists(sight, evidence, MOMENTS_IN_SIGHT),
    warnings.length
      ? element("ul", { class: "warnings" }, ...warnings.map((warning) => prose("li", "", warning)))
      : null,
    element("p", { class: "cost" }, costInWords(trajectory)),
  ];
  return shown.filter(Boolean);
}

/** Whether it answers, and hardly believes so itself. */
export function isUnsure({ answer, confidence }) {
  return Boolean(answer) && confidence !== null && confidence < LEAST_SURE;
}

function confidenceBar(confidence) {
  const filling = element("span", { class: "filling" });
  filling.style.width = `${100 * confidence}%`;
  return element(
    "p",
    { class: "confidence" },
    element("span", { class: "soft" }, "Confidence"),
    element("span", { class: "bar", "aria-hidden": "true" }, filling),
    element("span", { class: "number" }, confidence.toFixed(2)),
  );
}

function costInWords({ rounds, tokens, usd, seconds }) {
  const parts = [counted(rounds.length, "round"), counted(tokens, "token"), took(seconds)];
  if (usd) parts.push(`$${usd.toFixed(usd < 0.1 ? 4 : 2)}`);
  return parts.join(" · ");
}
