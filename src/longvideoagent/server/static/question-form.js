/** The question form: question, options, team and rounds. Each video has its own draft. */

import { byId, element, scrollToElement, setVisible } from "./dom.js";
import { optionLabel } from "./format.js";

export class QuestionForm {
  #fold = byId("question-fold");
  #form = byId("ask-form");
  #question = byId("question");
  #options = byId("options");
  #team = byId("team");
  #rounds = byId("rounds");
  #note = byId("form-note");
  /** @type {{name: string, description: string}[]} */
  #teams = [];
  /** The id of the video of the current draft; null until the first video is chosen. */
  #video = null;
  /** Drafts of other videos, by video id. @type {Map<string, {question: string, options: string[]}>} */
  #drafts = new Map();
  #isBusy = false;
  #isEnabled = true;

  /** @param {(draft: {question: string, options: string[], team: string|null, max_rounds?: number}) => void} onSubmit */
  constructor(onSubmit) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#isBusy) return;
      const draft = this.#read();
      if (draft) onSubmit(draft);
    });
    this.#form.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.#form.requestSubmit();
    });
    this.#question.addEventListener("keydown", (event) => {
      const isPlain = !(event.shiftKey || event.ctrlKey || event.metaKey || event.altKey);
      if (event.key !== "Enter" || event.isComposing || !isPlain) return;
      event.preventDefault();
      this.#form.requestSubmit();
    });
    byId("add-option").addEventListener("click", () => this.#addOption("").focus());
    this.#team.addEventListener("change", () => this.#showTeamDescription());
  }

  /** @param {{name: string, description: string}[]} teams */
  showTeams(teams) {
    this.#teams = teams;
    this.#team.replaceChildren(...teams.map(({ name }) => element("option", { value: name }, name)));
    this.#showTeamDescription();
  }

  /** @param {{default_max_rounds: number, max_rounds: number}} limits */
  setLimits({ default_max_rounds, max_rounds }) {
    this.#rounds.max = max_rounds;
    this.#rounds.value ||= default_max_rounds;
  }

  /** @param {{question: string, options: string[]}[]} suggestions */
  showSuggestions(suggestions) {
    const buttons = suggestions.map((suggestion) => {
      const fill = () => this.fill(suggestion);
      return element("li", {}, element("button", { type: "button", dir: "auto", onclick: fill }, suggestion.question));
    });
    byId("suggestions").replaceChildren(...buttons);
    setVisible(byId("suggestion-box"), buttons.length > 0);
    byId("suggestion-box").open = true;
  }

  /** Fold the suggestions to make room for the steps. */
  foldSuggestions() {
    byId("suggestion-box").open = false;
  }

  /** Show the draft of this video. */
  setVideo(video) {
    if (video === null || video === this.#video) return;
    // A draft written before any video was chosen belongs to the first one.
    if (this.#video !== null) {
      this.#drafts.set(this.#video, this.#readDraft());
      this.fill(this.#drafts.get(video) ?? { question: "", options: [] });
    }
    this.#video = video;
  }

  /** Fold the form into one line that opens it, or unfold it. */
  fold(isFolded) {
    setVisible(byId("question-unfold"), isFolded);
    this.#fold.open = !isFolded;
  }

  /** Without a video no question can be asked. */
  setEnabled(isEnabled) {
    this.#isEnabled = isEnabled;
    for (const control of this.#form.elements) control.disabled = !isEnabled;
    this.setBusy(this.#isBusy);
  }

  /** @param {{question: string, options: string[], team?: string, max_rounds?: number}} draft */
  fill({ question, options, team, max_rounds }) {
    this.showNote("");
    this.#question.removeAttribute("aria-invalid");
    this.#question.value = question;
    this.#options.replaceChildren();
    for (const option of options) this.#addOption(option);
    if (this.#teams.some(({ name }) => name === team)) this.#team.value = team;
    if (max_rounds) this.#rounds.value = max_rounds;
    this.#showTeamDescription();
  }

  focus() {
    this.#focusOn(this.#question);
  }

  /** Unfold the form with the choice of the team in focus. */
  focusTeam() {
    this.#focusOn(this.#team);
  }

  /** The first team of another name, or null. */
  otherTeam(name) {
    return this.#teams.find((team) => team.name !== name)?.name ?? null;
  }

  #focusOn(control) {
    this.#fold.open = true;
    control.focus({ preventScroll: true });
    scrollToElement(this.#form, "start");
  }

  /**
   * Show a note below the form; an empty text removes it.
   * @param {string} text
   * @param {"warning"|"muted"} [kind]
   */
  showNote(text, kind = "warning") {
    this.#note.textContent = text;
    this.#note.className = kind;
    setVisible(this.#note, Boolean(text));
  }

  setBusy(isBusy) {
    this.#isBusy = isBusy;
    byId("ask-button").disabled = isBusy || !this.#isEnabled;
  }

  #readDraft() {
    const rows = [...this.#options.querySelectorAll(".option-input")];
    const options = rows.map((row) => row.value.trim()).filter(Boolean);
    return { question: this.#question.value.trim(), options };
  }

  #read() {
    const { question, options } = this.#readDraft();
    this.#question.setAttribute("aria-invalid", String(!question));
    this.showNote(question ? "" : "Write a question, or choose a suggested one.");
    if (!question) this.#question.focus();
    if (!question) return null;
    // Before the teams and limits are loaded the server uses its defaults, as the page does.
    const max_rounds = this.#rounds.value ? { max_rounds: Number(this.#rounds.value) } : {};
    return { question, options, team: this.#team.value || null, ...max_rounds };
  }

  #showTeamDescription() {
    const team = this.#teams.find(({ name }) => name === this.#team.value);
    const { name, description } = team ?? { name: "", description: "" };
    byId("team-about").textContent = description === name ? "" : description;
  }

  #addOption(text) {
    const input = element("input", { class: "option-input", type: "text", dir: "auto", autocomplete: "off" });
    input.value = text;
    input.addEventListener("paste", (event) => this.#onPaste(event, input));
    input.addEventListener("keydown", (event) => this.#onEnter(event, input));
    const remove = element(
      "button",
      { type: "button", class: "plain icon", onclick: () => this.#removeOption(row) },
      "×",
    );
    const row = element("li", {}, element("span", { class: "option-name", "aria-hidden": "true" }), input, remove);
    this.#options.append(row);
    this.#labelOptions();
    return input;
  }

  #removeOption(row) {
    const neighbor = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    this.#labelOptions();
    (neighbor?.querySelector("input") ?? byId("add-option")).focus();
  }

  /** Label the options in the order of the prompt. */
  #labelOptions() {
    [...this.#options.children].forEach((row, index) => {
      row.querySelector(".option-name").textContent = optionLabel(index);
      row.querySelector("input").setAttribute("aria-label", `Option ${optionLabel(index)}`);
      row.querySelector("button").setAttribute("aria-label", `Remove option ${optionLabel(index)}`);
    });
  }

  /** Enter moves to the next option; in an empty one, which is the last, it submits. */
  #onEnter(event, input) {
    if (event.key !== "Enter" || event.ctrlKey || event.metaKey || event.isComposing) return;
    event.preventDefault();
    const next = input.closest("li").nextElementSibling?.querySelector("input");
    if (next) next.focus();
    else if (input.value.trim()) this.#addOption("").focus();
    else this.#form.requestSubmit();
  }

  /** Several pasted lines become several options. */
  #onPaste(event, input) {
    const lines = event.clipboardData
      .getData("text")
      .split(/\r?\n/)
      .map((line) => line.trim())
      .filter(Boolean);
    if (lines.length < 2) return;
    event.preventDefault();
    const [first, ...rest] = lines;
    input.value = first;
    let last = input;
    for (const line of rest) last = this.#addOption(line);
    last.focus();
  }
}
