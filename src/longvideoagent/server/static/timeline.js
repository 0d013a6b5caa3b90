/** The bar below the player: clips, what a trajectory did with them, and a playhead that seeks. */

import { element, show } from "./dom.js";
import { clock, span } from "./format.js";

const STEP_S = 5;
const FINE_STEP_S = 1;
const ROOM_FOR_A_LABEL = 18; // clips; with more of them the bars are too narrow for their labels
const TICKS = 6;
const TICK_ROOM = 0.7; // of a step, so that the last tick does not run into the end's
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

  /**
   * @param {HTMLElement} bar its role is slider: where one is in the video
   * @param {HTMLElement} ticks
   * @param {{onSeek: (time_s: number) => void, onPlay: () => void}} to
   */
  constructor(bar, ticks, { onSeek, onPlay }) {
    this.#bar = bar;
    this.#ticks = ticks;
    this.#onSeek = onSeek;
    this.#onPlay = onPlay;
    bar.addEventListener("keydown", (event) => this.#key(event));
    bar.addEventListener("pointerdown", (event) => this.#grasp(event));
    bar.addEventListener("pointermove", (event) => this.#point(event));
    bar.addEventListener("pointerup", (event) => this.#release(event));
    bar.addEventListener("pointerleave", () => show(this.#pointer, false));
  }

  /** @param {{duration_s: number, clips: import("./api.js").Clip[]}} timeline */
  show({ duration_s, clips }) {
    this.#duration_s = duration_s;
    this.#clips = clips;
    const shared = sharedStart(clips.map(({ label }) => label));
    this.#bar.classList.toggle("crowded", clips.length > ROOM_FOR_A_LABEL);
    this.#bar.replaceChildren(
      ...clips.map((clip) => this.#clip(clip, clip.label.slice(shared))),
      this.#marks,
      this.#playhead,
      this.#pointer,
    );
    this.#bar.setAttribute("aria-valuemax", Math.round(duration_s));
    this.#showTicks();
    this.setTime(0);
  }

  /** @param {import("./timeline-marks.js").Marks} marks */
  mark({ visited, current, evidence, frames_s, gold }) {
    for (const bar of this.#bar.querySelectorAll(".clip")) {
      const { label, span: words } = bar.dataset;
      bar.classList.toggle("visited", visited.has(label));
      bar.classList.toggle("current", label === current);
      bar.title = `${label}, ${words}${visited.has(label) ? ", visited" : ""}`;
    }
    const marks = [
      ...frames_s.map((time_s) => this.#place(element("span", { class: "frame-mark" }), time_s)),
      ...evidence.map((each) => this.#place(element("span", { class: "evidence-mark" }), each.time_s)),
    ];
    if (gold) marks.push(this.#place(element("span", { class: "gold-mark" }), gold.start_s, gold.end_s));
    this.#marks.replaceChildren(...marks);
  }

  setTime(time_s) {
    this.#place(this.#playhead, time_s);
    this.#bar.setAttribute("aria-valuenow", Math.round(time_s));
    const label = this.#clipAt(time_s)?.label;
    this.#bar.setAttribute(
      "aria-valuetext",
      `${clock(time_s)} of ${clock(this.#duration_s)}${label ? `, clip ${label}` : ""}`,
    );
  }

  #clip(clip, shortLabel) {
    const words = span(clip.start_s, clip.end_s);
    const shown = element("span", {}, shortLabel);
    const bar = element("span", { class: "clip", "data-label": clip.label, "data-span": words }, shown);
    bar.style.setProperty("--density", clip.density ?? 0);
    return this.#place(bar, clip.start_s, clip.end_s);
  }

  /** Put it where its time is; give it the width of its span where it has one. */
  #place(placed, start_s, end_s = null) {
    const share = (time_s) => (this.#duration_s ? Math.min(100, (100 * time_s) / this.#duration_s) : 0);
    placed.style.left = `${share(start_s)}%`;
    if (end_s !== null) placed.style.width = `${share(end_s) - share(start_s)}%`;
    return placed;
  }

  #showTicks() {
    const step_s = TICK_STEPS_S.find((each) => this.#duration_s / each <= TICKS) ?? this.#duration_s;
    const ticks = [];
    for (let time_s = 0; time_s < this.#duration_s - TICK_ROOM * step_s; time_s += step_s) {
      ticks.push(this.#place(element("span", {}, clock(time_s)), time_s));
    }
    this.#ticks.replaceChildren(...ticks, element("span", { class: "end" }, clock(this.#duration_s)));
  }

  #clipAt(time_s) {
    return this.#clips.find((clip) => time_s >= clip.start_s && time_s < clip.end_s) ?? null;
  }

  #timeAt(event) {
    const box = this.#bar.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    return share * this.#duration_s;
  }

  #grasp(event) {
    if (event.button !== 0) return;
    this.#bar.setPointerCapture(event.pointerId);
    this.#place(this.#playhead, this.#timeAt(event));
  }

  #point(event) {
    const time_s = this.#timeAt(event);
    const label = this.#clipAt(time_s)?.label;
    this.#pointer.textContent = label ? `${clock(time_s)} · ${label}` : clock(time_s);
    this.#place(this.#pointer, time_s);
    this.#pointer.classList.toggle("at-right", time_s > this.#duration_s / 2);
    show(this.#pointer, true);
    if (this.#bar.hasPointerCapture(event.pointerId)) this.#place(this.#playhead, time_s);
  }

  #release(event) {
    if (!this.#bar.hasPointerCapture(event.pointerId)) return;
    this.#bar.releasePointerCapture(event.pointerId);
    this.#onSeek(this.#timeAt(event));
  }

  #key(event) {
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

/** How many characters all labels begin with, up to a separator: bars have no room for what all have in common. */
function sharedStart(labels) {
  const [first = "", ...others] = labels;
  if (!others.length) return 0;
  let shared = 0;
  for (let index = 0; index < first.length; index += 1) {
    if (!others.every((label) => label[index] === first[index])) break;
    if ("_-/ ".includes(first[index])) shared = index + 1;
  }
  return shared;
}
