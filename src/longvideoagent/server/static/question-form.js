/** What is asked: question, options, team and rounds. What is written about one video is kept with that video. */

import { bringIntoSight, byId, element, show } from "./dom.js";
import { optionName } from "./format.js";

export class QuestionForm {
  #fold = byId("ask-fold");
  #form = byId("ask-form");
  #question = byId("question");
  #options = byId("options");
  #team = byId("team");
  #rounds = byId("rounds");
  #note = byId("form-note");
  /** @type {{name: string, description: string}[]} */
  #teams = [];
  /** The video that it is written about; null before there is one. */
  #video = null;
  /** What was written about other videos, by their ids. @type {Map<string, {question: string, options: string[]}>} */
  #drafts = new Map();
  #isBusy = false;
  #isUsable = true;

  /** @param {(ask: {question: string, options: string[], team: string|null, max_rounds: number}) => void} onAsk */
  constructor(onAsk) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#isBusy) return;
      const ask = this.#read();
      if (ask) onAsk(ask);
    });
    this.#form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#form.requestSubmit();
    });
    byId("add-option").addEventListener("click", () => this.#addOption("").focus());
    this.#team.addEventListener("change", () => this.#tellTeam());
  }

  /** @param {{name: string, description: string}[]} teams */
  showTeams(teams) {
    this.#teams = teams;
    this.#team.replaceChildren(...teams.map(({ name }) => element("option", { value: name }, name)));
    this.#tellTeam();
  }

  /** @param {{question: string, options: string[]}[]} suggestions */
  showSuggestions(suggestions) {
    const buttons = suggestions.map((suggestion) => {
      const fill = () => this.fill(suggestion);
      return element("li", {}, element("button", { type: "button", dir: "auto", onclick: fill }, suggestion.question));
    });
    byId("suggestions").replaceChildren(...buttons);
    show(byId("suggestion-box"), buttons.length > 0);
    byId("suggestion-box").open = true;
  }

  /** Make room for what was asked. */
  foldSuggestions() {
    byId("suggestion-box").open = false;
  }

  /** Ask about this video from now on. */
  turnTo(video) {
    if (video === null || video === this.#video) return;
    // What was written before there was a video is meant for the first one.
    if (this.#video !== null) {
      this.#drafts.set(this.#video, this.#written());
      this.fill(this.#drafts.get(video) ?? { question: "", options: [] });
    }
    this.#video = video;
  }

  /** Give way to what was asked, to a line that opens it again; or stand open for good. */
  fold(isFolded) {
    show(byId("ask-summary"), isFolded);
    this.#fold.open = !isFolded;
  }

  /** Without a video there is nothing to ask. */
  setUsable(isUsable) {
    this.#isUsable = isUsable;
    for (const control of this.#form.elements) control.disabled = !isUsable;
    this.setBusy(this.#isBusy);
  }

  /** @param {{question: string, options: string[], team?: string, max_rounds?: number}} ask */
  fill({ question, options, team, max_rounds }) {
    this.tell("");
    this.#question.removeAttribute("aria-invalid");
    this.#question.value = question;
    this.#options.replaceChildren();
    for (const option of options) this.#addOption(option);
    if (this.#teams.some(({ name }) => name === team)) this.#team.value = team;
    if (max_rounds) this.#rounds.value = max_rounds;
    this.#tellTeam();
  }

  focus() {
    this.#fold.open = true;
    this.#question.focus({ preventScroll: true });
    bringIntoSight(this.#form, "start");
  }

  /**
   * Show a note below the form; an empty text removes it.
   * @param {string} text
   * @param {"warning"|"soft"} [kind]
   */
  tell(text, kind = "warning") {
    this.#note.textContent = text;
    this.#note.className = kind;
    show(this.#note, Boolean(text));
  }

  setBusy(isBusy) {
    this.#isBusy = isBusy;
    byId("ask-button").disabled = isBusy || !this.#isUsable;
  }

  #written() {
    const rows = [...this.#options.querySelectorAll(".option-input")];
    const options = rows.map((row) => row.value.trim()).filter(Boolean);
    return { question: this.#question.value.trim(), options };
  }

  #read() {
    const { question, options } = this.#written();
    this.#question.setAttribute("aria-invalid", String(!question));
    this.tell(question ? "" : "Write a question, or choose a suggested one.");
    if (!question) this.#question.focus();
    if (!question) return null;
    // Before the teams are known the server takes the first, which the page would choose too.
    return { question, options, team: this.#team.value || null, max_rounds: Number(this.#rounds.value) };
  }

  #tellTeam() {
    const { name, description } = this.#teams.find((team) => team.name === this.#team.value) ?? { name: "", description: "" };
    byId("team-about").textContent = description === name ? "" : description;
  }

  #addOption(text) {
    const input = element("input", { class: "option-input", type: "text", dir: "auto", autocomplete: "off" });
    input.value = text;
    input.addEventListener("paste", (event) => this.#paste(event, input));
    input.addEventListener("keydown", (event) => this.#step(event, input));
    const remove = element(
      "button",
      { type: "button", class: "quiet icon", onclick: () => this.#removeOption(row) },
      "×",
    );
    const row = element("li", {}, element("span", { class: "option-name", "aria-hidden": "true" }), input, remove);
    this.#options.append(row);
    this.#number();
    return input;
  }

  #removeOption(row) {
    const near = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    this.#number();
    (near?.querySelector("input") ?? byId("add-option")).focus();
  }

  /** Labels follow the order that the agents will see. */
  #number() {
    [...this.#options.children].forEach((row, index) => {
      row.querySelector(".option-name").textContent = optionName(index);
      row.querySelector("input").setAttribute("aria-label", `Option ${optionName(index)}`);
      row.querySelector("button").setAttribute("aria-label", `Remove option ${optionName(index)}`);
    });
  }

  /** Enter goes on to the next option instead of asking half of a question. */
  #step(event, input) {
    if (event.key !== "Enter" || event.ctrlKey || event.metaKey || event.isComposing) return;
    event.preventDefault();
    const next = input.closest("li").nextElementSibling?.querySelector("input");
    if (next) next.focus();
    else if (input.value.trim()) this.#addOption("").focus();
  }

  /** Several pasted lines are several options. */
  #paste(event, input) {
    const lines = event.clipboardData
      .getData("text")
      .split(/\r?\n/)
      .map((line) => line.trim())
      .filter(Boolean);
    if (lines.length < 2) return;
    event.preventDefault();
    const [first, ...others] = lines;
    input.value = first;
    let last = input;
    for (const line of others) last = this.#addOption(line);
    last.focus();
  }
}
