/** Times, frames and evidence as things one can press to see that moment. */

import { element, prose } from "./dom.js";
import { frameUrl } from "./api.js";
import { clock, counted, span } from "./format.js";

/**
 * Where a trajectory's moments can be seen: the video they are in, and how to get there. Without it they are only told.
 * @typedef {{video: string|null, seek: (time_s: number) => void}} Sight
 */

/** @param {Sight} sight @param {number} time_s @param {string} [words] */
export function timeButton(sight, time_s, words = clock(time_s)) {
  if (!sight.video) return element("span", { class: "time" }, words);
  const seek = () => sight.seek(time_s);
  return element(
    "button",
    { type: "button", class: "time", "data-time-s": time_s, title: "Show this moment", onclick: seek },
    words,
  );
}

/** A span that leads to its start. */
export function spanButton(sight, start_s, end_s) {
  return timeButton(sight, start_s, span(start_s, end_s));
}

/** A frame as a picture that leads to its place in the video. */
export function frameButton(sight, time_s) {
  const words = clock(time_s);
  const picture = element("img", { src: frameUrl(sight.video, time_s), alt: "", loading: "lazy" });
  const seek = () => sight.seek(time_s);
  const label = `Show the frame at ${words}`;
  picture.addEventListener("error", () => picture.replaceWith(element("span", { class: "no-picture" }, "no picture")));
  return element(
    "button",
    { type: "button", class: "frame", "data-time-s": time_s, "aria-label": label, onclick: seek },
    picture,
    element("span", { class: "time" }, words),
  );
}

const KINDS = { subtitle: "said", frame: "seen" };

/**
 * Evidence as a list, the first few of its moments in sight and the rest folded.
 * @param {Sight} sight @param {import("./api.js").Evidence[]} evidence @param {number} inSight @returns {Node[]}
 */
export function evidenceLists(sight, evidence, inSight) {
  const items = byMoment(evidence).map((moment) => evidenceItem(sight, moment));
  const list = (some) => element("ul", { class: "evidence" }, ...some);
  const first = items.slice(0, inSight);
  const rest = items.slice(inSight);
  const lists = first.length ? [list(first)] : [];
  if (rest.length)
    lists.push(
      element(
        "details",
        {},
        element("summary", {}, first.length ? `${rest.length} more` : `Evidence: ${counted(items.length, "moment")}`),
        list(rest),
      ),
    );
  return lists;
}

/** One frame may bear out several things: they belong to one moment. */
function byMoment(evidence) {
  const moments = new Map();
  for (const each of evidence) {
    const key = JSON.stringify([each.kind, each.clip, each.time_s]);
    moments.set(key, [...(moments.get(key) ?? []), each]);
  }
  return [...moments.values()];
}

function evidenceItem(sight, moment) {
  const [{ kind, clip, time_s }] = moment;
  const hasPicture = kind === "frame" && sight.video;
  const said = element("span", { class: "soft" }, KINDS[kind] ?? kind, " in ", prose("span", "", clip));
  const place = element("p", { class: "evidence-place" }, hasPicture ? null : timeButton(sight, time_s), said);
  const texts = moment.map(({ text }) => prose("p", "evidence-text", text));
  const picture = hasPicture ? frameButton(sight, time_s) : null;
  return element("li", { class: "evidence-item", "data-kind": kind }, picture, element("div", {}, place, ...texts));
}
