/** A trace: question, answer and steps; of a running job, a finished job or an evaluation run. */

import { showAnswer } from "./answer-view.js";
import { element, renderIfChanged, setVisible, textElement } from "./dom.js";
import { optionList, StepList } from "./step-list.js";

export class TraceView {
  #head = element("div", { class: "trace-head" });
  #before = element("div");
  #answer;
  #actions = element("div", { class: "actions" });
  #list;
  #title = element("h3", { class: "steps-title muted" }, "Steps");
  #steps;
  #betterTeam;
  /** The card. */
  element;

  /**
   * @param {{isSecond?: boolean, betterTeam?: ((spec: string|null) => Node)|null}} [options] the second of two compared
   *   runs has no ids; `betterTeam` builds what leads to a better team than that of the trace
   */
  constructor({ isSecond = false, betterTeam = null } = {}) {
    this.#betterTeam = betterTeam;
    const id = (name) => (isSecond ? null : name);
    this.#list = element("ol", { id: id("steps"), class: "steps", "aria-label": "Steps" });
    this.#answer = element("section", {
      id: id("answer"),
      class: "answer",
      "aria-label": isSecond ? "Answer of the second run" : "Answer",
    });
    this.#steps = new StepList(this.#list);
    this.element = element(
      "article",
      { class: "trace" },
      this.#head,
      this.#before,
      this.#answer,
      this.#actions,
      this.#title,
      this.#list,
    );
    setVisible(this.#answer, false);
    setVisible(this.#title, false);
  }

  /**
   * @param {{question: string, options: string[], trace: import("./api.js").Trace|null, isRunning: boolean,
   *   title?: string, gold?: {option_index: number|null}|null}} state
   * @param {import("./evidence-view.js").PlaybackContext} playback
   */
  update({ question, options, trace, isRunning, title = "", gold = null }, playback) {
    const chosen = trace?.option_index ?? null;
    renderIfChanged(this.#head, [title, question, options, chosen, gold], () => [
      ...(title ? [textElement("p", "muted", title)] : []),
      textElement("h2", "", question),
      ...(options.length ? [optionList(options, chosen, gold?.option_index)] : []),
    ]);
    if (!trace) return;
    this.#steps.show(trace, playback, isRunning);
    setVisible(this.#answer, Boolean(trace.outcome));
    setVisible(this.#title, !isRunning);
    if (trace.outcome)
      renderIfChanged(this.#answer, [trace, playback.video], () => showAnswer(trace, playback, this.#betterTeam));
  }

  /** The newest element. */
  get newest() {
    return this.#answer.hidden ? (this.#list.lastElementChild ?? this.#head) : this.#answer;
  }

  /** Set what is shown between question and answer: a verdict or the progress. */
  before(...nodes) {
    this.#before.replaceChildren(...nodes);
  }

  /** Set the buttons between answer and steps. */
  actions(...nodes) {
    this.#actions.replaceChildren(...nodes);
  }
}
