/** Adding videos: by button, or by dropping files anywhere on the page. One after the other, each can be cancelled. */

import { byId, show } from "./dom.js";
import { RequestFailure, sendVideo } from "./api.js";
import { pairFiles } from "./file-pairs.js";
import { percent } from "./format.js";

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
   * @param {{onBegin: () => void, onVideo: (video: import("./api.js").Video, subtitles: File|null) => Promise<void>,
   *   onSubtitles: (file: File) => void, onFailure: (text: string, retry?: (() => void)|null) => void}} hooks
   */
  constructor(hooks) {
    this.#hooks = hooks;
    this.#input.addEventListener("change", () => {
      this.#take([...this.#input.files]);
      this.#input.value = "";
    });
    byId("upload-cancel").addEventListener("click", () => this.#cancel());
    addEventListener("dragover", (event) => this.#hover(event));
    addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) this.#zone.classList.remove("hovered");
    });
    addEventListener("drop", (event) => this.#drop(event));
  }

  #hover(event) {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    this.#zone.classList.add("hovered");
  }

  #drop(event) {
    this.#zone.classList.remove("hovered");
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    this.#take([...event.dataTransfer.files]);
  }

  /** Subtitles are for the open video only where they came alone: nobody means to change it by bringing others. */
  #take(files) {
    if (!this.#isSending) this.#hooks.onBegin();
    const { pairs, unused } = pairFiles(files);
    if (!pairs.length && unused.length === 1) {
      this.#hooks.onSubtitles(unused[0]);
      return;
    }
    const why = pairs.length
      ? "no video that came with it has its name. Give it alone, while its video is open."
      : "several subtitle files came at once. Give one, while its video is open.";
    for (const { name } of unused) this.#hooks.onFailure(`${name} was not used: ${why}`);
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
      show(this.#box, false);
    }
  }

  async #send(pair) {
    const { video: file, subtitles } = pair;
    const tell = (share) => {
      this.#bar.value = share;
      this.#text.textContent = `${file.name}, ${share < 1 ? percent(share) : "being looked at"}`;
    };
    tell(0);
    show(this.#box, true);
    const unused = subtitles ? ` ${subtitles.name} was not used.` : "";
    try {
      const { done, cancel } = sendVideo(file, tell);
      this.#cancel = cancel;
      const video = await done;
      if (video) await this.#hooks.onVideo(video, subtitles);
      else if (unused) this.#hooks.onFailure(`${file.name} was cancelled.${unused}`);
    } catch (failure) {
      if (!(failure instanceof RequestFailure)) throw failure;
      const retry = () => {
        this.#waiting.push(pair);
        this.#sendAll();
      };
      const text = `${file.name} was not added. ${failure.message}${unused}`;
      this.#hooks.onFailure(text, failure.isPassing ? retry : null);
    }
  }
}
