/** A recorded evaluation run, alone or compared with another, and the steps of one of its questions. */

import { announce } from "./announce.js";
import { readRun, readRunQuestion } from "./api.js";
import { pairRows, verdictOf } from "./comparison.js";
import { copyLink } from "./copy-link.js";
import { byId, element, scrollToElement, setVisible, textElement } from "./dom.js";
import { spanButton } from "./evidence-view.js";
import { formatPercent, optionLabel, pluralize } from "./format.js";
import { navigateTo, runHash } from "./routes.js";
import { RunTable, verdictBadge } from "./run-table.js";
import { timelineMarks } from "./timeline-marks.js";
import { TraceView } from "./trace-view.js";

export class RunView {
  #parts;
  #table = new RunTable();
  #compareWith = byId("compare-with");
  /** Runs read so far, by id. @type {Map<string, any>} */
  #cache = new Map();
  /** @type {Extract<import("./routes.js").Route, {view: "run"}>|null} */
  #route = null;

  /**
   * @param {{viewer: import("./viewer.js").Viewer,
   *   runs: import("./run-list.js").RunList, errorBanner: import("./error-banner.js").ErrorBanner,
   *   videoName: (id: string) => string|null, onNotFound: (text: string) => void,
   *   onAskAgain: (video: string, ask: {question: string, options: string[]}) => void}} parts
   */
  constructor(parts) {
    this.#parts = parts;
    this.#compareWith.addEventListener("change", () => {
      const { id, question } = this.#route;
      navigateTo(runHash(id, { question, other: this.#compareWith.value || null }));
    });
  }

  /** @param {Extract<import("./routes.js").Route, {view: "run"}>} route */
  async show(route) {
    const isSameRuns = this.#route?.id === route.id && this.#route?.other === route.other;
    this.#route = route;
    const read = async () => {
      if (!isSameRuns) await this.#showRuns(route);
      if (this.#route !== route) return;
      this.#table.choose(route);
      await this.#showQuestion(route, isSameRuns);
    };
    const onNotFound = (text) => {
      if (this.#route !== route) return;
      this.close();
      this.#parts.onNotFound(text);
    };
    await this.#parts.errorBanner.guard(read, { onNotFound });
  }

  close() {
    if (!this.#route) return;
    this.#route = null;
    byId("traces").replaceChildren();
  }

  async #showRuns(route) {
    this.#table.clear();
    const [run, other] = await Promise.all([
      this.#readCached(route.id),
      route.other ? this.#readCached(route.other) : null,
    ]);
    if (this.#route !== route) return;
    byId("run-name").textContent = other ? `${run.name} (A) and ${other.name} (B)` : run.name;
    const pairs = pairRows(run.rows, other?.rows);
    byId("run-summary").replaceChildren(
      ...(other ? [summaryText(run, "A"), summaryText(other, "B"), comparisonText(pairs)] : [summaryText(run)]),
    );
    this.#renderCompareOptions(route);
    this.#table.show(pairs, route);
    document.title = `${run.name} · LongVideoAgent`;
  }

  async #readCached(id) {
    const run = this.#cache.get(id) ?? (await readRun(id));
    // A run in progress is read again next time; a finished one does not change.
    if (run.num_finished >= run.num_questions) this.#cache.set(id, run);
    return run;
  }

  #renderCompareOptions({ id, other }) {
    const others = this.#parts.runs.runs.filter((run) => run.id !== id);
    const none = element("option", { value: "" }, "none");
    this.#compareWith.replaceChildren(none, ...others.map((run) => element("option", { value: run.id }, run.name)));
    this.#compareWith.value = other ?? "";
    setVisible(byId("compare-box"), others.length > 0);
  }

  /** @param {boolean} isChosen whether it was chosen from the visible table instead of by a link */
  async #showQuestion(route, isChosen) {
    const { id, other, question } = route;
    if (!question) {
      this.#parts.viewer.close();
      byId("traces").replaceChildren(
        element("p", { class: "empty" }, "Choose a question to see the steps to its answer."),
      );
      return;
    }
    const [first, second] = await Promise.all([
      this.#recorded(id, question),
      other ? this.#recorded(other, question) : null,
    ]);
    if (this.#route !== route) return;
    const recorded = [first, second].find(Boolean);
    if (!recorded) return;
    const name = this.#parts.videoName(recorded.video_id) ?? "Timeline";
    const opening = this.#parts.viewer.openWithTimeline(recorded.video_id, name, {
      duration_s: recorded.duration_s,
      clips: recorded.clips,
    });
    this.#parts.viewer.mark(timelineMarks(recorded.trace, { gold: recorded.gold }));
    const cards = [first ? this.#card(first, other ? "A" : "") : null, second ? this.#card(second, "B") : null];
    byId("traces").replaceChildren(...cards.filter(Boolean));
    if (isChosen) this.#scrollToTraces();
    announce(`${recorded.trace.question} ${recorded.correct ? "Correct" : "Not correct"}.`);
    await opening;
  }

  /** The traces are below the table, perhaps outside the view. */
  #scrollToTraces() {
    const shown = byId("traces");
    const isBelow = shown.getBoundingClientRect().top > innerHeight / 2;
    if (this.#route.other || isBelow) scrollToElement(shown, "start");
  }

  /** The question as recorded in one run, or null if that run did not ask it. */
  async #recorded(id, question) {
    const run = await this.#readCached(id);
    return run.rows.some((row) => row.id === question) ? readRunQuestion(id, question) : null;
  }

  #card(recorded, name) {
    const { trace, gold, video_id: video, correct } = recorded;
    const isSecond = name === "B";
    const view = new TraceView({ isSecond });
    const playback = { video, clips: recorded.clips, seek: (time_s) => this.#parts.viewer.seek(time_s) };
    const { question, options } = trace;
    const title = name ? `Run ${name}` : "";
    view.update({ question, options, trace, isRunning: false, title, gold }, playback);
    const verdict = verdictOf({ outcome: trace.outcome, correct });
    view.before(goldLine(playback, gold, options, verdict));
    const { id, other } = this.#route;
    const link = copyLink(runHash(id, { question: recorded.id, other }), isSecond);
    const again = video ? this.#askAgain(video, { question, options }, isSecond) : null;
    view.actions(...[again, link].filter(Boolean));
    return view.element;
  }

  #askAgain(video, ask, isSecond) {
    const again = () => this.#parts.onAskAgain(video, ask);
    const id = isSecond ? null : "ask-again";
    return element("button", { id, type: "button", onclick: again }, "Ask again with …");
  }
}

function goldLine(playback, gold, options, verdict) {
  const { option_index, answer, clip, start_s, end_s } = gold;
  const text = answer || options[option_index] || "";
  const name = option_index === null ? "" : optionLabel(option_index);
  const location = [];
  if (clip) location.push(textElement("span", "label", clip));
  if (start_s !== null && end_s !== null) location.push(spanButton(playback, start_s, end_s));
  const label = element("span", { class: "muted" }, "Gold answer");
  return element(
    "div",
    { class: "gold" },
    verdictBadge(verdict),
    label,
    textElement("span", "", `${name} ${text}`.trim()),
    ...location,
  );
}

function summaryText(run, name = "") {
  const accuracy = run.accuracy === null ? "nothing scored yet" : `${formatPercent(run.accuracy)} correct`;
  const finished = `${run.num_finished.toLocaleString("en")} of ${pluralize(run.num_questions, "question")}`;
  const text = `${run.dataset} ${run.split}, team ${run.team}: ${accuracy}, ${finished}`;
  return element("p", {}, name ? element("strong", {}, `${name}: `) : null, textElement("span", "", text));
}

function comparisonText(pairs) {
  const both = pairs.filter(({ first, second }) => first && second);
  const isCorrect = (row) => verdictOf(row) === "correct";
  const onlyA = both.filter(({ first, second }) => isCorrect(first) && !isCorrect(second)).length;
  const onlyB = both.filter(({ first, second }) => !isCorrect(first) && isCorrect(second)).length;
  return element(
    "p",
    {},
    `Of ${pluralize(both.length, "question")} in both, ${onlyA} correct in A only and ${onlyB} correct in B only.`,
  );
}
