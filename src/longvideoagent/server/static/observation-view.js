/** An observation of the master: a located clip, what the frames show, or a notice of the loop. */

import { element, textElement } from "./dom.js";
import { evidenceLists, frameButton, spanButton, timeButton } from "./evidence-view.js";
import { pluralize } from "./format.js";

const MAX_VISIBLE_LINES = 3;
const MAX_VISIBLE_QUOTES = 3;
const MAX_VISIBLE_FRAMES = 0; // their frames are shown above them

/**
 * @param {import("./evidence-view.js").PlaybackContext} playback
 * @param {import("./api.js").Observation} observation
 * @returns {Node[]}
 */
export function showObservation(playback, observation) {
  if (observation.kind === "grounding") return showGrounding(playback, observation);
  if (observation.kind === "vision") return showVision(playback, observation);
  return [textElement("p", "observation-text", observation.text)];
}

function showGrounding(playback, { clip, start_s, end_s, clips, reason, lines, evidence }) {
  const others = clips.filter((each) => each.label !== clip);
  const nodes = [
    element("p", { class: "clip-line" }, textElement("strong", "label", clip), " ", spanButton(playback, start_s, end_s)),
    reason ? textElement("p", "muted", reason) : null,
    others.length ? clipList(playback, others) : null,
    ...evidenceLists(playback, evidence, MAX_VISIBLE_QUOTES),
    lines.length ? lineDetails(playback, lines) : null,
  ];
  return nodes.filter(Boolean);
}

function clipList(playback, clips) {
  const items = clips.map((each) =>
    element("li", {}, textElement("span", "label", each.label), " ", spanButton(playback, each.start_s, each.end_s)),
  );
  return element(
    "div",
    { class: "clip-list" },
    element("span", { class: "muted" }, "Also considered"),
    element("ul", {}, ...items),
  );
}

function lineDetails(playback, lines) {
  const rows = lines.map((line) =>
    element(
      "li",
      {},
      timeButton(playback, line.time_s),
      element(
        "span",
        {},
        textElement("span", "", line.text),
        line.source === "screen" ? element("em", {}, " on screen") : null,
      ),
    ),
  );
  const summary = element("summary", {}, `${pluralize(lines.length, "line")} of this clip`);
  return element("details", {}, summary, element("ul", { class: "lines" }, ...rows));
}

function showVision(playback, { text, frames_s, evidence }) {
  const lines = text.split("\n").filter((line) => line.trim());
  const rest = lines.slice(MAX_VISIBLE_LINES);
  const more = () =>
    element("details", {}, element("summary", {}, pluralize(rest.length, "more line")), ...paragraphs(rest));
  const nodes = [
    frames_s.length ? frames(playback, frames_s) : null,
    ...paragraphs(lines.slice(0, MAX_VISIBLE_LINES)),
    rest.length ? more() : null,
    ...evidenceLists(playback, evidence, MAX_VISIBLE_FRAMES),
  ];
  return nodes.filter(Boolean);
}

function paragraphs(lines) {
  return lines.map((line) => textElement("p", "observation-text", line));
}

function frames(playback, frames_s) {
  if (!playback.video) return element("p", { class: "muted" }, pluralize(frames_s.length, "frame"), " inspected");
  const items = frames_s.map((time_s) => element("li", {}, frameButton(playback, time_s)));
  return element(
    "ul",
    { class: "frames", "aria-label": `${pluralize(frames_s.length, "frame")} inspected` },
    ...items,
  );
}
