/** A recorded evaluation run, alone or beside another, and the trajectories of one of its questions. */

import { bringIntoSight, byId, element, prose, show } from "./dom.js";
import { announce } from "./announce.js";
import { readRun, readRunQuestion } from "./api.js";
import { pairRows, verdictOf } from "./comparison.js";
import { copyLink } from "./copy-link.js";
import { marksOf } from "./timeline-marks.js";
import { spanButton } from "./evidence-view.js";
import { goTo, runHash } from "./routes.js";
import { RunTable, verdictBadge } from "./run-table.js";
import { TrajectoryView } from "./trajectory-view.js";
import { counted, optionName, percent } from "./format.js";

export class RunView {
  #parts;
  #table = new RunTable();
  #compareWith = byId("compare-with");
  /** Runs read so far, by id. @type {Map<string, any>} */
  #read = new Map();
  /** @type {Extract<import("./routes.js").Route, {view: "run"}>|null} */
  #route = null;

  /**
   * @param {{viewer: import("./viewer.js").Viewer,
   *   runs: import("./run-list.js").RunList, trouble: import("./error-banner.js").Trouble,
   *   videoName: (id: string) => string|null, onGone: (text: string) => void,
   *   onAskAgain: (video: string, ask: {question: string, options: string[]}) => void}} parts
   */
  constructor(parts) {
    this.#parts = parts;
    this.#compareWith.addEventListener("change", () => {
      const { id, question } = this.#route;
      goTo(runHash(id, { question, other: this.#compareWith.value || null }));
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
    const onGone = (text) => {
      if (this.#route !== route) return;
      this.close();
      this.#parts.onGone(text);
    };
    await this.#parts.trouble.guard(read, { onGone });
  }

  close() {
    if (!this.#route) return;
    this.#route = null;
    byId("trajectories").replaceChildren();
  }

  async #showRuns(route) {
    this.#table.clear();
    const [run, other] = await Promise.all([
      this.#readOnce(route.id),
      route.other ? this.#readOnce(route.other) : null,
    ]);
    if (this.#route !== route) return;
    byId("run-name").textContent = other ? `${run.name} (A) and ${other.name} (B)` : run.name;
    const pairs = pairRows(run.rows, other?.rows);
    byId("run-summary").replaceChildren(
      ...(other ? [inWords(run, "A"), inWords(other, "B"), difference(pairs)] : [inWords(run)]),
    );
    this.#offerOthers(route);
    this.#table.show(pairs, route);
    document.title = `${run.name} · LongVideoAgent`;
  }

  async #readOnce(id) {
    const run = this.#read.get(id) ?? (await readRun(id));
    // A run that still goes on is read again next time; a finished one does not change.
    if (run.num_finished >= run.num_questions) this.#read.set(id, run);
    return run;
  }

  #offerOthers({ id, other }) {
    const others = this.#parts.runs.runs.filter((run) => run.id !== id);
    const none = element("option", { value: "" }, "none");
    this.#compareWith.replaceChildren(none, ...others.map((run) => element("option", { value: run.id }, run.name)));
    this.#compareWith.value = other ?? "";
    show(byId("compare-box"), others.length > 0);
  }

  /** @param {boolean} isChosen it was chosen from the table that is in sight, rather than named by a link */
  async #showQuestion(route, isChosen) {
    const { id, other, question } = route;
    if (!question) {
      this.#parts.viewer.close();
      byId("trajectories").replaceChildren(
        element("p", { class: "empty" }, "Choose a question to see how its answer came about."),
      );
      return;
    }
    const [one, two] = await Promise.all([
      this.#recorded(id, question),
      other ? this.#recorded(other, question) : null,
    ]);
    if (this.#route !== route) return;
    const found = [one, two].find(Boolean);
    if (!found) return;
    const name = this.#parts.videoName(found.video_id) ?? "Timeline";
    const opening = this.#parts.viewer.openGiven(found.video_id, name, {
      duration_s: found.duration_s,
      clips: found.clips,
    });
    this.#parts.viewer.mark(marksOf(found.trace, { gold: found.gold }));
    const cards = [one ? this.#card(one, other ? "A" : "") : null, two ? this.#card(two, "B") : null];
    byId("trajectories").replaceChildren(...cards.filter(Boolean));
    if (isChosen) this.#showWhereItIs();
    announce(`${found.trace.question} ${found.correct ? "Right" : "Not right"}.`);
    await opening;
  }

  /** Below the table, the trajectories of what was chosen in it may be out of sight. */
  #showWhereItIs() {
    const shown = byId("trajectories");
    const isBelow = shown.getBoundingClientRect().top > innerHeight / 2;
    if (this.#route.other || isBelow) bringIntoSight(shown, "start");
  }

  /** The question as one run recorded it; null where that run did not ask it. */
  async #recorded(id, question) {
    const run = await this.#readOnce(id);
    return run.rows.some((row) => row.id === question) ? readRunQuestion(id, question) : null;
  }

  #card(recorded, name) {
    const { trace: trajectory, gold, video_id: video, correct } = recorded;
    const isSecond = name === "B";
    const view = new TrajectoryView({ isSecond });
    const sight = { video, seek: (time_s) => this.#parts.viewer.seek(time_s) };
    const { question, options } = trajectory;
    const title = name ? `Run ${name}` : "";
    view.update({ question, options, trajectory, isRunning: false, title, gold }, sight);
    const verdict = verdictOf({ outcome: trajectory.outcome, correct });
    view.before(goldLine(sight, gold, options, verdict));
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

function goldLine(sight, gold, options, verdict) {
  const { option_index, answer, clip, start_s, end_s } = gold;
  const text = answer || options[option_index] || "";
  const name = option_index === null ? "" : optionName(option_index);
  const where = [];
  if (clip) where.push(prose("span", "label", clip));
  if (start_s !== null && end_s !== null) where.push(spanButton(sight, start_s, end_s));
  const lead = element("span", { class: "soft" }, "Right answer");
  return element(
    "div",
    { class: "gold" },
    verdictBadge(verdict),
    lead,
    prose("span", "", `${name} ${text}`.trim()),
    ...where,
  );
}

function inWords(run, name = "") {
  const accuracy = run.accuracy === null ? "nothing judged yet" : `${percent(run.accuracy)} right`;
  const finished = `${run.num_finished.toLocaleString("en")} of ${counted(run.num_questions, "question")}`;
  const words = `${run.dataset} ${run.split}, team ${run.team}: ${accuracy}, ${finished}`;
  return element("p", {}, name ? element("strong", {}, `${name}: `) : null, prose("span", "", words));
}

function difference(pairs) {
  const both = pairs.filter(({ one, other }) => one && other);
  const onlyOne = both.filter(({ one, other }) => verdictOf(one) === "right" && verdictOf(other) !== "right").length;
  const onlyOther = both.filter(({ one, other }) => verdictOf(one) !== "right" && verdictOf(other) === "right").length;
  return element(
    "p",
    {},
    `Of ${counted(both.length, "question")} in both, ${onlyOne} right in A only and ${onlyOther} right in B only.`,
  );
}
