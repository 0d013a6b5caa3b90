/** Times, frames and evidence as buttons that seek to that moment. */

import { frameUrl } from "./api.js";
import { element, textElement } from "./dom.js";
import { formatSpan, formatTimestamp, pluralize } from "./format.js";

/**
 * The video of a trace's moments, and how to seek in it. `video` is null if it is not in the library.
 * `clips` are those of the timeline, empty until it is known.
 * @typedef {{video: string|null, clips: import("./api.js").Clip[], seek: (time_s: number) => void}} PlaybackContext
 */

/** @param {PlaybackContext} playback @param {number} time_s @param {string} [label] */
export function timeButton(playback, time_s, label = formatTimestamp(time_s)) {
  if (!playback.video) return element("span", { class: "time" }, label);
  const seek = () => playback.seek(time_s);
  return element(
    "button",
    { type: "button", class: "time", "data-time-s": time_s, title: "Show this moment", onclick: seek },
    label,
  );
}

/** A time span as a button that seeks to its start. */
export function spanButton(playback, start_s, end_s) {
  return timeButton(playback, start_s, formatSpan(start_s, end_s));
}

/** A frame as a button that seeks to its time. */
export function frameButton(playback, time_s) {
  const time = formatTimestamp(time_s);
  const image = element("img", { src: frameUrl(playback.video, time_s), alt: "", loading: "lazy" });
  const seek = () => playback.seek(time_s);
  const label = `Show the frame at ${time}`;
  image.addEventListener("error", () => image.replaceWith(element("span", { class: "no-image" }, "no image")));
  return element(
    "button",
    { type: "button", class: "frame", "data-time-s": time_s, "aria-label": label, onclick: seek },
    image,
    element("span", { class: "time" }, time),
  );
}

/**
 * Evidence as a list; moments after the first `maxVisible` are folded.
 * @param {PlaybackContext} playback
 * @param {import("./api.js").Evidence[]} evidence
 * @param {number} maxVisible
 * @returns {Node[]}
 */
export function evidenceLists(playback, evidence, maxVisible) {
  const moments = groupByMoment(evidence);
  const list = (shown) =>
    element("ul", { class: "evidence" }, ...shown.map((moment) => evidenceItem(playback, moment)));
  const visible = moments.slice(0, maxVisible);
  const folded = moments.slice(maxVisible);
  const lists = visible.length ? [list(visible)] : [];
  const title = visible.length ? `Show all ${moments.length}` : `Evidence: ${pluralize(moments.length, "moment")}`;
  if (folded.length) lists.push(foldedList(title, visible.length > 0, () => list(folded)));
  return lists;
}

/** Details that are built when they are opened first: there may be thousands of moments. */
function foldedList(title, hasMore, build) {
  const summary = element("summary", {}, title);
  const details = element("details", {}, summary);
  details.addEventListener("toggle", () => {
    if (details.open && details.lastElementChild === summary) details.append(build());
    if (hasMore) summary.textContent = details.open ? "Show fewer" : title;
  });
  return details;
}

/** Evidence of the same kind, clip and time is one moment: one frame may support several statements. */
function groupByMoment(evidence) {
  const moments = new Map();
  for (const each of evidence) {
    const key = JSON.stringify([each.kind, each.clip, each.time_s]);
    moments.set(key, [...(moments.get(key) ?? []), each]);
  }
  return [...moments.values()];
}

function evidenceItem(playback, moment) {
  const [{ kind, clip, time_s }] = moment;
  const hasImage = kind === "frame" && playback.video;
  const source = element("span", { class: "muted" }, `${kind} · `, textElement("span", "", clip));
  const location = element("p", { class: "evidence-source" }, hasImage ? null : timeButton(playback, time_s), source);
  const texts = moment.map(({ text }) => textElement("p", "evidence-text", text));
  const image = hasImage ? frameButton(playback, time_s) : null;
  return element("li", { class: "evidence-item", "data-kind": kind }, image, element("div", {}, location, ...texts));
}
