/** The videos there are: choosing one, and giving one its subtitles. */

import { byId, element, prose, show } from "./dom.js";
import { readVideos, sendSubtitles } from "./api.js";
import { videoHash } from "./routes.js";
import { size } from "./format.js";

export class Library {
  #list = byId("video-list");
  #subtitles = byId("subtitle-input");
  #hooks;
  /** @type {import("./api.js").Video[]} */
  #videos = [];
  #chosen = null;
  #isLoaded = false;

  /**
   * @param {{onSubtitles: (id: string) => void, onMissing: (id: string, name: string) => void,
   *   onBegin: () => void, guard: (work: () => Promise<void>) => Promise<void>, tell: (text: string) => void}} hooks
   */
  constructor(hooks) {
    this.#hooks = hooks;
    this.#subtitles.addEventListener("change", () => {
      const [file] = this.#subtitles.files;
      this.#hooks.onBegin();
      if (file) this.addSubtitles(file);
      this.#subtitles.value = "";
    });
  }

  get videos() {
    return this.#videos;
  }

  async load() {
    const { videos, is_truncated } = await readVideos();
    show(byId("cut-short"), Boolean(is_truncated));
    // What is as it was stays: a link that is made anew while it is pressed is never followed.
    if (this.#isLoaded && JSON.stringify(videos) === JSON.stringify(this.#videos)) return;
    this.#isLoaded = true;
    const name = this.nameOf(this.#chosen);
    this.#videos = videos;
    this.#render();
    if (name !== null && this.nameOf(this.#chosen) === null) this.#hooks.onMissing(this.#chosen, name);
  }

  /** @param {string|null} id */
  choose(id) {
    this.#chosen = id;
    this.#render();
  }

  nameOf(id) {
    return this.#videos.find((video) => video.id === id)?.name ?? null;
  }

  /** Give the chosen video this file's subtitles. */
  async addSubtitles(file) {
    const id = this.#chosen;
    if (!id) {
      this.#hooks.tell("Choose the video first that these subtitles are for.");
      return;
    }
    await this.giveSubtitles(id, this.nameOf(id) ?? "the open video", file);
  }

  /** Give a video this file's subtitles. */
  async giveSubtitles(id, name, file) {
    await this.#hooks.guard(async () => {
      await sendSubtitles(id, file, () => {}).done;
      this.#hooks.tell(`${file.name} is now used as the subtitles of ${name}.`);
      await this.load();
      if (id === this.#chosen) this.#hooks.onSubtitles(id);
    });
  }

  #render() {
    const chosen = this.#videos.find((video) => video.id === this.#chosen);
    this.#list.replaceChildren(...this.#videos.map((video) => this.#item(video)));
    show(byId("no-videos"), this.#videos.length === 0);
    show(byId("subtitle-box"), Boolean(chosen));
    const hasOwn = chosen?.has_uploaded_subtitles;
    byId("subtitle-label").textContent = hasOwn ? "Replace its subtitle file…" : "Add a subtitle file…";
  }

  #item(video) {
    const isChosen = video.id === this.#chosen;
    const facts = [video.kind === "frames" ? "folder of frames" : size(video.size_bytes)];
    if (video.is_upload) facts.push("uploaded");
    if (video.has_uploaded_subtitles) facts.push("own subtitles");
    const link = element(
      "a",
      { href: videoHash(video.id), "aria-current": isChosen ? "true" : null },
      fileName(video.name),
      element("span", { class: "soft" }, facts.join(" · ")),
    );
    return element("li", { class: "video-item", "data-id": video.id }, link);
  }
}

/** A long path may break after a folder rather than within a name. */
function fileName(path) {
  const folders = path.split("/");
  const name = folders.pop();
  const shown = prose("span", "name", "");
  if (folders.length) shown.append(element("span", { class: "folder" }, `${folders.join("/")}/`), element("wbr"));
  shown.append(name);
  return shown;
}
