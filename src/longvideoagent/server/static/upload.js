/** Adds videos by button or by dropping files on the page; one after the other, each can be cancelled. */

import { RequestError, sendVideo } from "./api.js";
import { byId, setVisible } from "./dom.js";
import { pairFiles } from "./file-pairs.js";
import { formatPercent } from "./format.js";

export class Upload {
  #input = byId("upload-input");
  #zone = byId("drop-zone");
  #box = byId("upload-box");
  #text = byId("upload-text");
  #bar = byId("upload-progress");
  #hooks;
  #cancel = () => {};
  /** @type {{video: File, subtitles: File|null}[]} */
  #waiting = [];
  #isSending = false;

  /**
   * @param {{onStart: () => void, onVideo: (video: import("./api.js").Video, subtitles: File|null) => Promise<void>,
   *   onSubtitles: (file: File) => void, onError: (text: string, retry?: (() => void)|null) => void}} hooks
   */
  constructor(hooks) {
    this.#hooks = hooks;
    this.#input.addEventListener("change", () => {
      this.#addFiles([...this.#input.files]);
      this.#input.value = "";
    });
    byId("upload-cancel").addEventListener("click", () => this.#cancel());
    addEventListener("dragover", (event) => this.#onDragOver(event));
    addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) this.#zone.classList.remove("hovered");
    });
    addEventListener("drop", (event) => this.#onDrop(event));
  }

  #onDragOver(event) {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    this.#zone.classList.add("hovered");
  }

  #onDrop(event) {
    this.#zone.classList.remove("hovered");
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    this.#addFiles([...event.dataTransfer.files]);
  }

  /** A single subtitle file is for the open video; subtitle files among others need a video of the same name. */
  #addFiles(files) {
    if (!this.#isSending) this.#hooks.onStart();
    const { pairs, unused } = pairFiles(files);
    if (!pairs.length && unused.length === 1) {
      this.#hooks.onSubtitles(unused[0]);
      return;
    }
    const reason = pairs.length
      ? "no video added with it has the same name. Add it alone while its video is open."
      : "several subtitle files were added at once. Add one while its video is open.";
    for (const { name } of unused) this.#hooks.onError(`${name} was not used: ${reason}`);
    this.#waiting.push(...pairs);
    this.#sendAll();
  }

  async #sendAll() {
    if (this.#isSending) return;
    this.#isSending = true;
    try {
      while (this.#waiting.length) await this.#send(this.#waiting.shift());
    } finally {
      this.#isSending = false;
      setVisible(this.#box, false);
    }
  }

  async #send(pair) {
    const { video: file, subtitles } = pair;
    const showProgress = (fraction) => {
      this.#bar.value = fraction;
      this.#text.textContent = `${file.name}, ${fraction < 1 ? formatPercent(fraction) : "being checked"}`;
    };
    showProgress(0);
    setVisible(this.#box, true);
    const unused = subtitles ? ` ${subtitles.name} was not used.` : "";
    try {
      const { done, cancel } = sendVideo(file, showProgress);
      this.#cancel = cancel;
      const video = await done;
      if (video) await this.#hooks.onVideo(video, subtitles);
      else if (unused) this.#hooks.onError(`${file.name} was cancelled.${unused}`);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      const retry = () => {
        this.#waiting.push(pair);
        this.#sendAll();
      };
      const text = `${file.name} was not added. ${error.message}${unused}`;
      this.#hooks.onError(text, error.isTransient ? retry : null);
    }
  }
}
