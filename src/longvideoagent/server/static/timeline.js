/** The bar below the player: clips, the marks of a trace, and a playhead that seeks. */

import { element, setVisible } from "./dom.js";
import { formatSpan, formatTimestamp } from "./format.js";

const STEP_S = 5;
const FINE_STEP_S = 1;
const MAX_LABELED_CLIPS = 18; // with more clips the bars are too narrow for labels
const MAX_TICKS = 6;
const MIN_LAST_TICK_STEPS = 1.1; // in steps; the last tick must not overlap the end label
const MAX_SPREAD_EVIDENCE = 30; // with more, the marks are narrower
const MARK_STEP_PERCENT = 0.25; // marks that are closer are one
const SNAP_PX = 6; // a click so close to a mark seeks to its time
const TICK_STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];

export class Timeline {
  #bar;
  #ticks;
  #onSeek;
  #onPlay;
  #duration_s = 0;
  /** @type {import("./api.js").Clip[]} */
  #clips = [];
  #playhead = element("span", { class: "playhead" });
  #pointer = element("span", { class: "pointer-time", hidden: true });
  #marks = element("span", { class: "marks" });
  #matches = element("span", { class: "marks" });
  /** Times that a click near them seeks to. */
  #evidence_s = [];
  #matches_s = [];

  /**
   * @param {HTMLElement} bar an element with the role slider
   * @param {HTMLElement} ticks
   * @param {{onSeek: (time_s: number) => void, onPlay: () => void}} to
   */
  constructor(bar, ticks, { onSeek, onPlay }) {
    this.#bar = bar;
    this.#ticks = ticks;
    this.#onSeek = onSeek;
    this.#onPlay = onPlay;
    bar.addEventListener("keydown", (event) => this.#onKeyDown(event));
    bar.addEventListener("pointerdown", (event) => this.#onPointerDown(event));
    bar.addEventListener("pointermove", (event) => this.#onPointerMove(event));
    bar.addEventListener("pointerup", (event) => this.#onPointerUp(event));
    bar.addEventListener("pointerleave", () => setVisible(this.#pointer, false));
  }

  /**
   * @param {{duration_s: number, clips: import("./api.js").Clip[],
   *   screenTexts: {start_s: number, end_s: number}[]}} timeline
   */
  show({ duration_s, clips, screenTexts }) {
    this.#duration_s = duration_s;
    this.#clips = clips;
    const shared = commonPrefixLength(clips.map(({ label }) => label));
    this.#bar.classList.toggle("crowded", clips.length > MAX_LABELED_CLIPS);
    this.#bar.replaceChildren(
      ...clips.map((clip) => this.#clip(clip, clip.label.slice(shared))),
      ...this.#merged(screenTexts).map(({ start_s, end_s }) =>
        this.#place(element("span", { class: "screen-text" }), start_s, end_s),
      ),
      this.#matches,
      this.#marks,
      this.#playhead,
      this.#pointer,
    );
    this.#bar.setAttribute("aria-valuemax", Math.round(duration_s));
    this.#showTicks();
    this.setTime(0);
  }

  /** @param {import("./timeline-marks.js").TimelineMarks} marks */
  mark({ visited, current, evidence, frames_s, gold }) {
    for (const bar of this.#bar.querySelectorAll(".clip")) {
      const { label, span: spanText } = bar.dataset;
      bar.classList.toggle("visited", visited.has(label));
      bar.classList.toggle("current", label === current);
      bar.title = `${label}, ${spanText}${visited.has(label) ? ", visited" : ""}`;
    }
    this.#evidence_s = evidence.map(({ time_s }) => time_s);
    this.#bar.classList.toggle("dense", evidence.length > MAX_SPREAD_EVIDENCE);
    const marks = [
      ...frames_s.map((time_s) => this.#place(element("span", { class: "frame-mark" }), time_s)),
      ...this.#spread(this.#evidence_s).map((time_s) =>
        this.#place(element("span", { class: "evidence-mark" }), time_s),
      ),
    ];
    if (gold) marks.push(this.#place(element("span", { class: "gold-mark" }), gold.start_s, gold.end_s));
    this.#marks.replaceChildren(...marks);
  }

  /** Mark the lines that a search has found. @param {number[]} times_s @param {number} current index, or -1 */
  markMatches(times_s, current) {
    this.#matches_s = times_s;
    const marks = this.#spread(times_s).map((time_s) => this.#place(element("span", { class: "match-mark" }), time_s));
    if (current >= 0) marks.push(this.#place(element("span", { class: "match-mark current" }), times_s[current]));
    this.#matches.replaceChildren(...marks);
  }

  setTime(time_s) {
    this.#place(this.#playhead, time_s);
    this.#bar.setAttribute("aria-valuenow", Math.round(time_s));
    const label = this.#clipAt(time_s)?.label;
    this.#bar.setAttribute(
      "aria-valuetext",
      `${formatTimestamp(time_s)} of ${formatTimestamp(this.#duration_s)}${label ? `, clip ${label}` : ""}`,
    );
  }

  #clip(clip, shortLabel) {
    const spanText = formatSpan(clip.start_s, clip.end_s);
    const shown = element("span", {}, shortLabel);
    const bar = element("span", { class: "clip", "data-label": clip.label, "data-span": spanText }, shown);
    bar.style.setProperty("--density", clip.density ?? 0);
    return this.#place(bar, clip.start_s, clip.end_s);
  }

  /** Position an element at a time; a span also sets its width. */
  #place(placed, start_s, end_s = null) {
    placed.style.left = `${this.#percent(start_s)}%`;
    if (end_s !== null) placed.style.width = `${this.#percent(end_s) - this.#percent(start_s)}%`;
    return placed;
  }

  #percent(time_s) {
    return this.#duration_s ? Math.min(100, (100 * time_s) / this.#duration_s) : 0;
  }

  /** Of times that share a place on the bar, the first: there may be thousands. */
  #spread(times_s) {
    const places = new Map();
    for (const time_s of times_s) {
      const place = Math.round(this.#percent(time_s) / MARK_STEP_PERCENT);
      if (!places.has(place)) places.set(place, time_s);
    }
    return [...places.values()];
  }

  /** Spans in order, joined where no gap between them can be seen. */
  #merged(spans) {
    const gap_s = (this.#duration_s * MARK_STEP_PERCENT) / 100;
    const joined = [];
    for (const { start_s, end_s } of spans) {
      const last = joined.at(-1);
      if (last && start_s <= last.end_s + gap_s) last.end_s = Math.max(last.end_s, end_s);
      else joined.push({ start_s, end_s });
    }
    return joined;
  }

  #showTicks() {
    const step_s = TICK_STEPS_S.find((each) => this.#duration_s / each <= MAX_TICKS) ?? this.#duration_s;
    const ticks = [];
    for (let time_s = 0; time_s < this.#duration_s - MIN_LAST_TICK_STEPS * step_s; time_s += step_s) {
      ticks.push(this.#place(element("span", {}, formatTimestamp(time_s)), time_s));
    }
    this.#ticks.replaceChildren(...ticks, element("span", { class: "end" }, formatTimestamp(this.#duration_s)));
  }

  #clipAt(time_s) {
    return this.#clips.find((clip) => time_s >= clip.start_s && time_s < clip.end_s) ?? null;
  }

  #timeAt(event) {
    const box = this.#bar.getBoundingClientRect();
    const fraction = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    return fraction * this.#duration_s;
  }

  /** The time of the mark that is close to the pointer, or that of the pointer. */
  #seekTimeAt(event) {
    const time_s = this.#timeAt(event);
    const distance_s = (mark_s) => Math.abs(mark_s - time_s);
    const snap_s = (SNAP_PX * this.#duration_s) / this.#bar.getBoundingClientRect().width;
    const near = [...this.#evidence_s, ...this.#matches_s].filter((mark_s) => distance_s(mark_s) <= snap_s);
    return near.sort((first, second) => distance_s(first) - distance_s(second))[0] ?? time_s;
  }

  #onPointerDown(event) {
    if (event.button !== 0) return;
    this.#bar.setPointerCapture(event.pointerId);
    this.#place(this.#playhead, this.#timeAt(event));
  }

  #onPointerMove(event) {
    const time_s = this.#timeAt(event);
    const label = this.#clipAt(time_s)?.label;
    this.#pointer.textContent = label ? `${formatTimestamp(time_s)} · ${label}` : formatTimestamp(time_s);
    this.#place(this.#pointer, time_s);
    this.#pointer.classList.toggle("at-right", time_s > this.#duration_s / 2);
    setVisible(this.#pointer, true);
    if (this.#bar.hasPointerCapture(event.pointerId)) this.#place(this.#playhead, time_s);
  }

  #onPointerUp(event) {
    if (!this.#bar.hasPointerCapture(event.pointerId)) return;
    this.#bar.releasePointerCapture(event.pointerId);
    this.#onSeek(this.#seekTimeAt(event));
  }

  #onKeyDown(event) {
    const now_s = Number(this.#bar.getAttribute("aria-valuenow"));
    const step_s = event.shiftKey ? FINE_STEP_S : STEP_S;
    const clip = this.#clips.indexOf(this.#clipAt(now_s));
    const targets = {
      ArrowLeft: now_s - step_s,
      ArrowDown: now_s - step_s,
      ArrowRight: now_s + step_s,
      ArrowUp: now_s + step_s,
      PageDown: this.#clips[Math.max(0, clip - 1)]?.start_s,
      PageUp: this.#clips[clip + 1]?.start_s ?? this.#duration_s,
      Home: 0,
      End: this.#duration_s,
    };
    if (event.key === " ") this.#onPlay();
    else if (targets[event.key] !== undefined)
      this.#onSeek(Math.min(this.#duration_s, Math.max(0, targets[event.key])));
    else return;
    event.preventDefault();
  }
}

/** Length of the common prefix of all labels, up to a separator; the bars omit it. */
function commonPrefixLength(labels) {
  const [first = "", ...others] = labels;
  if (!others.length) return 0;
  let shared = 0;
  for (let index = 0; index < first.length; index += 1) {
    if (!others.every((label) => label[index] === first[index])) break;
    if ("_-/ ".includes(first[index])) shared = index + 1;
  }
  return shared;
}
