/** The list of videos: choose one, add subtitles to one. */

import {
  deleteSubtitles,
  deleteVideo,
  readVideos,
  renameSubtitles,
  renameVideo,
  sendSubtitles,
  thumbnailUrl,
} from "./api.js";
import { askText, confirmDelete } from "./dialogs.js";
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
    byId("subtitle-rename").addEventListener("click", () => this.#renameSubtitles());
    byId("subtitle-delete").addEventListener("click", () => this.#deleteSubtitles());
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
    const isRenamed = name !== null && videos.some((video) => video.id === this.#chosen && video.name !== name);
    this.#videos = videos;
    this.#render();
    if (isRenamed) this.#hooks.onSubtitles(this.#chosen);
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
    const hasOwn = Boolean(chosen?.has_uploaded_subtitles);
    setVisible(byId("subtitle-own"), hasOwn);
    byId("subtitle-name").textContent = chosen?.uploaded_subtitles ?? "";
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
      thumbnail(video),
      element("span", {}, fileName(video.name), element("span", { class: "muted" }, facts.join(" · "))),
    );
    const changes = isChosen && video.is_upload ? this.#uploadActions(video) : null;
    return element("li", { class: "video-item", "data-id": video.id }, link, changes);
  }

  #uploadActions(video) {
    const button = (label, work) =>
      element("button", { type: "button", class: "plain", "aria-label": `${label} ${video.name}`, onclick: work }, label);
    return element(
      "p",
      { class: "item-actions" },
      button("Rename", () => this.#rename(video)),
      button("Delete", () => this.#delete(video)),
    );
  }

  async #rename(video) {
    const name = await askText("Rename the video", video.name);
    if (!name || name === video.name) return;
    await this.#change(() => renameVideo(video.id, name));
  }

  async #delete(video) {
    const text = "It is deleted from the server. The answers about it stay.";
    if (!(await confirmDelete(`Delete ${video.name}?`, text))) return;
    await this.#change(() => deleteVideo(video.id));
  }

  async #renameSubtitles() {
    const id = this.#chosen;
    const old = this.#videos.find((video) => video.id === id)?.uploaded_subtitles;
    const name = old ? await askText("Rename the subtitle file", old) : null;
    if (!name || name === old) return;
    await this.#change(() => renameSubtitles(id, name));
    this.#hooks.onSubtitles(id);
  }

  async #deleteSubtitles() {
    const id = this.#chosen;
    const name = this.#videos.find((video) => video.id === id)?.uploaded_subtitles;
    const text = "Subtitles next to the video or in it are used again.";
    if (!name || !(await confirmDelete(`Delete ${name}?`, text))) return;
    await this.#change(() => deleteSubtitles(id));
    this.#hooks.onSubtitles(id);
  }

  /** Change something on the server, and load the list. */
  async #change(work) {
    await this.#hooks.guard(async () => {
      await work();
      await this.load();
    });
  }
}

/** A small frame of a video, or its place if none can be read. */
function thumbnail({ id }) {
  const image = element("img", { src: thumbnailUrl(id), alt: "", loading: "lazy", width: 64, height: 36 });
  image.addEventListener("error", () => image.replaceWith(element("span", { class: "no-image" })));
  return element("span", { class: "thumbnail" }, image);
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
