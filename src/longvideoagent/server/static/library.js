/** The list of videos: choose one, add subtitles to one. */

import { readVideos, sendSubtitles } from "./api.js";
import { byId, element, setVisible, textElement } from "./dom.js";
import { formatBytes } from "./format.js";
import { videoHash } from "./routes.js";

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
   *   onStart: () => void, guard: (work: () => Promise<void>) => Promise<void>,
   *   onMessage: (text: string) => void}} hooks
   */
  constructor(hooks) {
    this.#hooks = hooks;
    this.#subtitles.addEventListener("change", () => {
      const [file] = this.#subtitles.files;
      this.#hooks.onStart();
      if (file) this.addSubtitlesToChosen(file);
      this.#subtitles.value = "";
    });
  }

  get videos() {
    return this.#videos;
  }

  async load() {
    const { videos, is_truncated } = await readVideos();
    setVisible(byId("list-truncated"), Boolean(is_truncated));
    // An unchanged list stays: a link that is replaced while it is pressed is never followed.
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

  /** Use a file as the subtitles of the chosen video. */
  async addSubtitlesToChosen(file) {
    const id = this.#chosen;
    if (!id) {
      this.#hooks.onMessage("Choose a video first; the subtitle file is added to it.");
      return;
    }
    await this.uploadSubtitles(id, this.nameOf(id) ?? "the open video", file);
  }

  /** Use a file as the subtitles of a video. */
  async uploadSubtitles(id, name, file) {
    await this.#hooks.guard(async () => {
      await sendSubtitles(id, file, () => {}).done;
      this.#hooks.onMessage(`${file.name} is now used as the subtitles of ${name}.`);
      await this.load();
      if (id === this.#chosen) this.#hooks.onSubtitles(id);
    });
  }

  #render() {
    const chosen = this.#videos.find((video) => video.id === this.#chosen);
    this.#list.replaceChildren(...this.#videos.map((video) => this.#item(video)));
    setVisible(byId("no-videos"), this.#videos.length === 0);
    setVisible(byId("subtitle-box"), Boolean(chosen));
    const hasOwn = chosen?.has_uploaded_subtitles;
    byId("subtitle-label").textContent = hasOwn ? "Replace its subtitle file…" : "Add a subtitle file…";
  }

  #item(video) {
    const isChosen = video.id === this.#chosen;
    const facts = [video.kind === "frames" ? "folder of frames" : formatBytes(video.size_bytes)];
    if (video.is_upload) facts.push("uploaded");
    if (video.has_uploaded_subtitles) facts.push("own subtitles");
    const link = element(
      "a",
      { href: videoHash(video.id), "aria-current": isChosen ? "true" : null },
      fileName(video.name),
      element("span", { class: "muted" }, facts.join(" · ")),
    );
    return element("li", { class: "video-item", "data-id": video.id }, link);
  }
}

/** A path that may wrap after each folder, not within names. */
function fileName(path) {
  const folders = path.split("/");
  const name = folders.pop();
  const node = textElement("span", "name", "");
  if (folders.length) node.append(element("span", { class: "folder" }, `${folders.join("/")}/`), element("wbr"));
  node.append(name);
  return node;
}
