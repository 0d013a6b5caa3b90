/** An observation of the master, in the wording and order of the report: a located clip, frames, or a notice. */

import { element, textElement } from "./dom.js";
import { evidenceLists, frameButton, spanButton, timeButton } from "./evidence-view.js";
import { pluralize } from "./format.js";
import { locatedClip } from "./observation.js";

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
  if (observation.kind === "timeline") return showTimeline(playback, observation);
  return [textElement("p", "observation-text", observation.text)];
}

function showGrounding(playback, observation) {
  const { title, window, candidates, reason, evidence } = observation;
  const { label, start_s, end_s } = locatedClip(observation);
  const spans = new Map([...playback.clips, ...window].map((clip) => [clip.label, clip]));
  const lines = window.flatMap(({ subtitles }) => subtitles);
  const nodes = [
    element(
      "p",
      { class: "clip-line" },
      element("span", { class: "muted" }, `${title} `),
      textElement("strong", "label", label),
      " ",
      spanButton(playback, start_s, end_s),
    ),
    reason ? textElement("p", "muted", reason) : null,
    window.length > 1 ? clipList(playback, "Evidence window", window) : null,
    candidates.length
      ? clipList(
          playback,
          "Also considered",
          candidates.map((candidate) => ({ ...spans.get(candidate.label), ...candidate })),
        )
      : null,
    ...evidenceLists(playback, evidence, MAX_VISIBLE_QUOTES),
    lines.length ? lineDetails(playback, lines) : null,
  ];
  return nodes.filter(Boolean);
}

/** Clips as a list; the span of a clip may be unknown, and a reason may follow it. */
function clipList(playback, title, clips) {
  const items = clips.map(({ label, start_s, end_s, reason }) =>
    element(
      "li",
      {},
      textElement("span", "label", label),
      start_s === undefined ? null : " ",
      start_s === undefined ? null : spanButton(playback, start_s, end_s),
      reason ? textElement("span", "muted", ` (${reason})`) : null,
    ),
  );
  const heading = element("span", { class: "muted" }, title);
  return element("div", { class: "clip-list" }, heading, element("ul", {}, ...items));
}

function lineDetails(playback, lines) {
  const items = lines.map(({ start_s, text, source }) => {
    const onScreen = source === "screen" ? element("em", {}, " on screen") : null;
    return element(
      "li",
      {},
      timeButton(playback, start_s),
      element("span", {}, textElement("span", "", text), onScreen),
    );
  });
  const summary = element("summary", {}, `${pluralize(lines.length, "line")} of the evidence window`);
  return element("details", {}, summary, element("ul", { class: "lines" }, ...items));
}

function showVision(playback, observation) {
  const { title, text, evidence, frame_times_s: times } = observation;
  const lines = text.split("\n").filter((line) => line.trim());
  const folded = lines.slice(MAX_VISIBLE_LINES);
  const details = () =>
    element("details", {}, element("summary", {}, pluralize(folded.length, "more line")), ...paragraphs(folded));
  const nodes = [
    element("p", { class: "muted" }, title),
    times.length ? frameList(playback, times) : null,
    ...paragraphs(lines.slice(0, MAX_VISIBLE_LINES)),
    folded.length ? details() : null,
    ...evidenceLists(playback, evidence, MAX_VISIBLE_FRAMES),
  ];
  return nodes.filter(Boolean);
}

function showTimeline(playback, { title, text, evidence }) {
  const summary = evidence.length ? text.split("\n", 1)[0] : text;
  return [
    element("p", { class: "muted" }, title),
    textElement("p", "observation-text", summary),
    ...evidenceLists(playback, evidence, MAX_VISIBLE_QUOTES),
  ];
}

function paragraphs(lines) {
  return lines.map((line) => textElement("p", "observation-text", line));
}

function frameList(playback, times) {
  const title = `${pluralize(times.length, "frame")} inspected`;
  if (!playback.video) return element("p", { class: "muted" }, title);
  const items = times.map((time_s) => element("li", {}, frameButton(playback, time_s)));
  return element("ul", { class: "frames", "aria-label": title }, ...items);
}
