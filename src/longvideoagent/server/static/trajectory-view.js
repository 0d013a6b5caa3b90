/** A whole trajectory: question, answer, steps. Live ones, finished ones and those of a run are shown by this alone. */

import { element, fillFrom, prose, show } from "./dom.js";
import { showAnswer } from "./answer-view.js";
import { Steps, optionList } from "./step-list.js";

export class TrajectoryView {
  #head = element("div", { class: "trajectory-head" });
  #before = element("div");
  #answer;
  #actions = element("div", { class: "actions" });
  #list;
  #title = element("h3", { class: "steps-title soft" }, "How it came about");
  #steps;
  /** The card itself, to be put somewhere. */
  element;

  /** @param {{isSecond?: boolean}} [place] the second of two side by side has no ids: the first has them */
  constructor({ isSecond = false } = {}) {
    const id = (name) => (isSecond ? null : name);
    this.#list = element("ol", { id: id("steps"), class: "steps", "aria-label": "Steps" });
    this.#answer = element("section", {
      id: id("answer"),
      class: "answer",
      "aria-label": isSecond ? "Answer of the second run" : "Answer",
    });
    this.#steps = new Steps(this.#list);
    this.element = element(
      "article",
      { class: "trajectory" },
      this.#head,
      this.#before,
      this.#answer,
      this.#actions,
      this.#title,
      this.#list,
    );
    show(this.#answer, false);
    show(this.#title, false);
  }

  /**
   * @param {{question: string, options: string[], trajectory: import("./api.js").Trajectory|null, isRunning: boolean,
   *   title?: string, gold?: {option_index: number|null}|null}} state
   * @param {import("./evidence-view.js").Sight} sight
   */
  update({ question, options, trajectory, isRunning, title = "", gold = null }, sight) {
    const chosen = trajectory?.option_index ?? null;
    fillFrom(this.#head, [title, question, options, chosen, gold], () => [
      ...(title ? [prose("p", "soft", title)] : []),
      prose("h2", "", question),
      ...(options.length ? [optionList(options, chosen, gold?.option_index)] : []),
    ]);
    if (!trajectory) return;
    this.#steps.show(trajectory, sight, isRunning);
    show(this.#answer, Boolean(trajectory.outcome));
    show(this.#title, !isRunning);
    if (trajectory.outcome) fillFrom(this.#answer, [trajectory, sight.video], () => showAnswer(trajectory, sight));
  }

  /** What came last. */
  get newest() {
    return this.#answer.hidden ? (this.#list.lastElementChild ?? this.#head) : this.#answer;
  }

  /** What stands between the question and the steps: a verdict, or how far it is. */
  before(...nodes) {
    this.#before.replaceChildren(...nodes);
  }

  /** What can be done with it, between the answer and the steps. */
  actions(...nodes) {
    this.#actions.replaceChildren(...nodes);
  }
}
