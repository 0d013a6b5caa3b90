/** What came back to the master: a place in the subtitles, what the frames show, or a notice of the loop. */

import { element, prose } from "./dom.js";
import { evidenceLists, frameButton, spanButton, timeButton } from "./evidence-view.js";
import { counted } from "./format.js";

const LINES_IN_SIGHT = 3;
const QUOTES_IN_SIGHT = 3;
const FRAMES_IN_SIGHT = 0; // the pictures looked at are above them already

/** @param {import("./evidence-view.js").Sight} sight @param {import("./api.js").Observed} observed @returns {Node[]} */
export function showObserved(sight, observed) {
  if (observed.kind === "grounding") return showGrounding(sight, observed);
  if (observed.kind === "vision") return showVision(sight, observed);
  return [prose("p", "said", observed.text)];
}

function showGrounding(sight, { clip, start_s, end_s, clips, reason, lines, evidence }) {
  const others = clips.filter((each) => each.label !== clip);
  const shown = [
    element("p", { class: "place" }, prose("strong", "label", clip), " ", spanButton(sight, start_s, end_s)),
    reason ? prose("p", "soft", reason) : null,
    others.length ? otherClips(sight, others) : null,
    ...evidenceLists(sight, evidence, QUOTES_IN_SIGHT),
    lines.length ? lineDetails(sight, lines) : null,
  ];
  return shown.filter(Boolean);
}

function otherClips(sight, clips) {
  const places = clips.map((each) =>
    element("li", {}, prose("span", "label", each.label), " ", spanButton(sight, each.start_s, each.end_s)),
  );
  return element(
    "div",
    { class: "others" },
    element("span", { class: "soft" }, "Also considered"),
    element("ul", {}, ...places),
  );
}

function lineDetails(sight, lines) {
  const rows = lines.map((line) =>
    element(
      "li",
      {},
      timeButton(sight, line.time_s),
      element(
        "span",
        {},
        prose("span", "", line.text),
        line.source === "screen" ? element("em", {}, " on screen") : null,
      ),
    ),
  );
  const summary = element("summary", {}, `${counted(lines.length, "line")} of this clip`);
  return element("details", {}, summary, element("ul", { class: "lines" }, ...rows));
}

function showVision(sight, { text, frames_s, evidence }) {
  const lines = text.split("\n").filter((line) => line.trim());
  const rest = lines.slice(LINES_IN_SIGHT);
  const more = () =>
    element("details", {}, element("summary", {}, counted(rest.length, "more line")), ...paragraphs(rest));
  const shown = [
    frames_s.length ? frames(sight, frames_s) : null,
    ...paragraphs(lines.slice(0, LINES_IN_SIGHT)),
    rest.length ? more() : null,
    ...evidenceLists(sight, evidence, FRAMES_IN_SIGHT),
  ];
  return shown.filter(Boolean);
}

function paragraphs(lines) {
  return lines.map((line) => prose("p", "said", line));
}

function frames(sight, frames_s) {
  if (!sight.video) return element("p", { class: "soft" }, counted(frames_s.length, "frame"), " looked at");
  const pictures = frames_s.map((time_s) => element("li", {}, frameButton(sight, time_s)));
  return element(
    "ul",
    { class: "frames", "aria-label": `${counted(frames_s.length, "frame")} looked at` },
    ...pictures,
  );
}
