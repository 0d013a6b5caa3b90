/** Adding videos: by button, or by dropping files anywhere on the page. One after the other, each can be cancelled. */

import { byId, show } from "./element.js";
import { RequestFailure, sendVideo } from "./api.js";
import { percent } from "./words.js";

const SUBTITLE_NAME = /\.(srt|vtt|ass|ssa)$/i;

export class Upload {
  #input = byId("upload-input");
  #zone = byId("drop-zone");
  #box = byId("upload-box");
  #text = byId("upload-text");
  #bar = byId("upload-progress");
  #hooks;
  #cancel = () => {};
  /** @type {File[]} */
  #waiting = [];
  #isSending = false;

  /**
   * @param {{onVideo: (video: import("./api.js").Video) => void, onSubtitles: (file: File) => void,
   *   onFailure: (text: string) => void}} hooks
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

  #take(files) {
    const subtitles = files.filter((file) => SUBTITLE_NAME.test(file.name));
    if (subtitles.length) this.#hooks.onSubtitles(subtitles[0]);
    this.#waiting.push(...files.filter((file) => !SUBTITLE_NAME.test(file.name)));
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

  async #send(file) {
    const tell = (share) => {
      this.#bar.value = share;
      this.#text.textContent = `${file.name}, ${share < 1 ? percent(share) : "being looked at"}`;
    };
    tell(0);
    show(this.#box, true);
    try {
      const { done, cancel } = sendVideo(file, tell);
      this.#cancel = cancel;
      const video = await done;
      if (video) this.#hooks.onVideo(video);
    } catch (failure) {
      if (!(failure instanceof RequestFailure)) throw failure;
      this.#hooks.onFailure(`${file.name} was not added. ${failure.message}`);
    }
  }
}
