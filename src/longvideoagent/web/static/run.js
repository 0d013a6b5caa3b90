/** A recorded evaluation run, alone or beside another, and the trajectories of one of its questions. */

import { byId, element, prose, show } from "./element.js";
import { announce } from "./announce.js";
import { readRun, readRunQuestion } from "./api.js";
import { pairRows, verdictOf } from "./comparison.js";
import { copyLink } from "./link.js";
import { marksOf } from "./marks.js";
import { spanButton } from "./moments.js";
import { goTo, runHash } from "./routes.js";
import { RunTable, verdictBadge } from "./runtable.js";
import { TrajectoryView } from "./trajectory.js";
import { counted, optionName, percent } from "./words.js";

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
   *   runs: import("./runlist.js").RunList, trouble: import("./trouble.js").Trouble,
   *   videoName: (id: string) => string|null,
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
    await this.#parts.trouble.guard(async () => {
      if (!isSameRuns) await this.#showRuns(route);
      if (this.#route !== route) return;
      this.#table.choose(route);
      await this.#showQuestion(route);
    });
  }

  close() {
    if (!this.#route) return;
    this.#route = null;
    byId("trajectories").replaceChildren();
  }

  async #showRuns(route) {
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
    if (run.finished >= run.questions) this.#read.set(id, run);
    return run;
  }

  #offerOthers({ id, other }) {
    const others = this.#parts.runs.runs.filter((run) => run.id !== id);
    const none = element("option", { value: "" }, "no other run");
    this.#compareWith.replaceChildren(none, ...others.map((run) => element("option", { value: run.id }, run.name)));
    this.#compareWith.value = other ?? "";
    show(byId("compare-box"), others.length > 0);
  }

  async #showQuestion(route) {
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
    const name = this.#parts.videoName(found.video) ?? "Timeline";
    const opening = this.#parts.viewer.openGiven(found.video, name, {
      duration_s: found.duration_s,
      clips: found.clips,
    });
    this.#parts.viewer.mark(marksOf(found.trajectory, { gold: found.gold }));
    const cards = [one ? this.#card(one, other ? "A" : "") : null, two ? this.#card(two, "B") : null];
    byId("trajectories").replaceChildren(...cards.filter(Boolean));
    announce(`${found.trajectory.question} ${found.right ? "Right" : "Not right"}.`);
    await opening;
  }

  /** The question as one run recorded it; null where that run did not ask it. */
  async #recorded(id, question) {
    const run = await this.#readOnce(id);
    return run.rows.some((row) => row.id === question) ? readRunQuestion(id, question) : null;
  }

  #card(recorded, name) {
    const { trajectory, gold, video, right } = recorded;
    const view = new TrajectoryView({ isSecond: name === "B" });
    const sight = { video, seek: (time_s) => this.#parts.viewer.seek(time_s) };
    const { question, options } = trajectory;
    view.update({ question, options, trajectory, isRunning: false, title: name ? `Run ${name}` : "", gold }, sight);
    const verdict = verdictOf({ outcome: trajectory.outcome, right });
    view.before(goldLine(sight, gold, options, verdict));
    const { id, other } = this.#route;
    const link = copyLink(runHash(id, { question: recorded.id, other }), name === "B");
    view.actions(...(video && name !== "B" ? [this.#askAgain(video, { question, options })] : []), link);
    return view.element;
  }

  #askAgain(video, ask) {
    const again = () => this.#parts.onAskAgain(video, ask);
    return element("button", { id: "ask-again", type: "button", onclick: again }, "Ask again with …");
  }
}

function goldLine(sight, gold, options, verdict) {
  const { option_index, answer, clip, start_s, end_s } = gold;
  const text = answer || options[option_index] || "";
  const name = option_index === null ? "" : optionName(option_index);
  const where = [];
  if (clip) where.push(prose("span", "label", clip));
  if (start_s !== null && end_s !== null) where.push(spanButton(sight, start_s, end_s));
  const lead = element("span", { class: "soft" }, "Gold");
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
  const finished = `${run.finished.toLocaleString("en")} of ${counted(run.questions, "question")}`;
  const words = `${run.set} ${run.split}, team ${run.team}: ${accuracy}, ${finished}`;
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
