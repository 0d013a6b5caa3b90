/** One question on the page, from the queue to its answer. */

import { JobAnnouncer } from "./announce.js";
import {
  createJob,
  deleteJob,
  eventsUrl,
  pageUrl,
  readJob,
  readJobEvent,
  renameJob,
  RequestError,
  stopJob,
  traceUrl,
} from "./api.js";
import { Autoscroll } from "./autoscroll.js";
import { usageTexts } from "./answer-view.js";
import { copyLink } from "./copy-link.js";
import { askText, confirmDelete } from "./dialogs.js";
import { byId, element, scrollToElement, setVisible } from "./dom.js";
import { formatPercent } from "./format.js";
import { jobHash, navigateTo, videoHash } from "./routes.js";
import { timelineMarks } from "./timeline-marks.js";
import { TraceView } from "./trace-view.js";

const RETRY_MS = 2000;
export const NOT_OPENED = "The question was not sent because the video could not be opened.";
export const NO_VIDEO = "Choose a video first, or add one.";
const isRunning = (job) => job.state === "queued" || job.state === "running";

/** The status of a job as text and bar, and the button that stops it. */
class JobProgress {
  #text = element("p");
  #bar = element("progress", { max: 1, "aria-label": "Progress of the preparation" });
  #stop;
  element;

  /** @param {() => void} onStop */
  constructor(onStop) {
    this.#stop = element("button", { id: "stop-button", type: "button", onclick: onStop }, "Stop");
    this.element = element("div", { class: "progress" }, this.#text, this.#bar, this.#stop);
  }

  /** @param {import("./api.js").Job} job */
  update(job) {
    const { state, cause } = job;
    this.element.dataset.state = state;
    this.#text.textContent = cause && state === "failed" ? cause : statusText(job);
    setVisible(this.#bar, isRunning(job) && Boolean(job.stage));
    if (job.fraction === null) this.#bar.removeAttribute("value");
    else this.#bar.value = job.fraction;
    setVisible(this.#stop, isRunning(job));
    setVisible(this.element, state !== "finished");
  }

  setText(text) {
    this.#text.textContent = text;
  }

  setStopping(isStopping) {
    this.#stop.disabled = isStopping;
    this.#stop.textContent = isStopping ? "Stopping …" : "Stop";
  }
}

function statusText({ state, cause, queue_position, stage, fraction, trace, max_rounds }) {
  const suffix = trace ? " What was found until then is shown below." : "";
  if (state === "stopped") return `Stopped${cause ? `: ${/[.!?]$/.test(cause) ? cause : `${cause}.`}` : "."}${suffix}`;
  if (state === "failed") return "The video could not be opened.";
  if (state === "queued")
    return queue_position ? `Waiting: position ${queue_position} in the queue.` : "Waiting in the queue.";
  if (stage) return fraction === null ? `${stage} …` : `${stage}, ${formatPercent(fraction)}`;
  const round = trace?.rounds.length ?? 0;
  const text = round ? `Round ${round} of at most ${max_rounds}` : "Locating the first clip";
  const hasCost = trace && trace.usage.prompt_tokens + trace.usage.completion_tokens > 0;
  return hasCost ? [text, ...usageTexts(trace.usage)].join(" · ") : text;
}

function serveCommand(spec) {
  return element("code", {}, `lva serve -m ${spec ?? "SPEC"}`);
}

export class JobView {
  #viewer;
  #form;
  #history;
  #errorBanner;
  #onNotFound;
  #onVideoNotFound;
  /** The job shown, in its latest state. @type {import("./api.js").Job|null} */
  #job = null;
  /** @type {EventSource|null} */
  #events = null;
  /** The id of the job shown, or null. */
  #id = null;
  /** @type {TraceView|null} */
  #view = null;
  /** @type {JobProgress|null} */
  #progress = null;
  #announcer = new JobAnnouncer();
  #autoscroll = new Autoscroll();
  #renderedActions = "";
  /** The question to send once its video is open. @type {{video: string|null, draft: Object}|null} */
  #queuedQuestion = null;
  #isOpening;
  #isReading = false;

  /**
   * @param {{viewer: import("./viewer.js").Viewer, form: import("./question-form.js").QuestionForm,
   *   history: import("./history.js").History, errorBanner: import("./error-banner.js").ErrorBanner,
   *   onNotFound: (text: string) => void, onVideoNotFound: (id: string, text: string) => void,
   *   isOpening: () => boolean}} parts `isOpening`: whether a video is about to be open
   */
  constructor({ viewer, form, history, errorBanner, onNotFound, onVideoNotFound, isOpening }) {
    this.#viewer = viewer;
    this.#form = form;
    this.#history = history;
    this.#errorBanner = errorBanner;
    this.#onNotFound = onNotFound;
    this.#onVideoNotFound = onVideoNotFound;
    this.#isOpening = isOpening;
  }

  /** Send a question about the chosen video, or queue it until that video is open. */
  async start(draft) {
    const video = this.#viewer.videoId;
    if (this.#isOpening()) {
      this.#queuedQuestion = { video, draft };
      this.#form.setBusy(true);
      this.#form.showNote("The video is not open yet. The question will be sent as soon as it is.", "muted");
      return;
    }
    if (video) await this.#send(video, draft);
    else this.#form.showNote(NO_VIDEO);
  }

  /** A video was chosen: a question queued for another one is not sent. @param {string|null} video */
  chooseVideo(video) {
    if (!this.#queuedQuestion) return;
    if (this.#queuedQuestion.video === null) this.#queuedQuestion.video = video;
    else if (this.#queuedQuestion.video !== video)
      this.dropQueued("The question was not sent because another video was chosen. It is kept with its own video.");
  }

  /** Send the queued question, unless its video is still being opened. */
  async sendQueued() {
    if (!this.#queuedQuestion || this.#isOpening()) return;
    const { draft } = this.#queuedQuestion;
    this.dropQueued("");
    await this.start(draft);
  }

  /** Do not send the queued question. It stays in the form, with the reason below it. @param {string} reason */
  dropQueued(reason) {
    if (!this.#queuedQuestion) return;
    this.#queuedQuestion = null;
    this.#form.setBusy(false);
    this.#form.showNote(reason);
  }

  async #send(video, draft) {
    this.#form.setBusy(true);
    const start = async () => {
      const job = await createJob({ video_id: video, ...draft });
      this.#errorBanner.clear();
      this.#history.update(job);
      this.#form.foldSuggestions();
      this.#form.fold(true);
      this.#begin(job);
      // The page has its layout for a question only after it shows the route.
      addEventListener("hashchange", () => this.#scrollToNewest(), { once: true });
      navigateTo(jobHash(job.id));
    };
    await this.#errorBanner.guard(start, { onNotFound: (text) => this.#onVideoNotFound(video, text) });
    this.#form.setBusy(false);
  }

  /** Whether it is still reading the question to show, and so does not know the video yet. */
  get isReading() {
    return this.#isReading;
  }

  /** Show a job; does nothing if it is shown already. */
  async show(id) {
    if (id === this.#id) return;
    this.close();
    this.#id = id;
    const read = async () => {
      this.#isReading = true;
      const job = await readJob(id);
      if (this.#id !== id) return;
      this.#isReading = false;
      this.#begin(job);
      this.sendQueued();
    };
    await this.#errorBanner.guard(read, { onNotFound: (text) => this.#id === id && this.#onNotFound(text) });
    if (this.#id === id && this.#isReading) {
      this.#isReading = false;
      this.dropQueued(NOT_OPENED);
    }
  }

  /** The timeline of the video is known: show the spans of clips. */
  updateClips() {
    if (this.#view) this.#render(this.#job);
  }

  close() {
    this.#events?.close();
    this.#events = null;
    this.#id = null;
    this.#isReading = false;
    this.#autoscroll.stop();
    this.#view?.element.remove();
    this.#view = null;
  }

  #begin(job) {
    this.close();
    this.#id = job.id;
    this.#view = new TraceView({ betterTeam: (spec) => this.#betterTeam(job, spec) });
    this.#progress = new JobProgress(() => this.#stop(job.id));
    this.#announcer = new JobAnnouncer();
    this.#renderedActions = "";
    this.#view.before(this.#progress.element);
    byId("traces").replaceChildren(this.#view.element);
    if (job.is_playable) this.#viewer.open(job.video_id);
    else this.#viewer.openWithTimeline(null, job.video_name, { duration_s: null, clips: [] });
    if (!isRunning(job)) this.#announcer.announceEnd(job);
    this.#update(job);
    if (!isRunning(job)) return;
    this.#autoscroll.start(this.#view.element);
    this.#listen(job.id);
  }

  /** After an ask: the card from its start, or its answer if it has one already. */
  #scrollToNewest() {
    if (!this.#view) return;
    if (this.#job.trace?.outcome) scrollToElement(this.#view.newest);
    else scrollToElement(this.#view.element, "start");
  }

  /** What leads from a hint to another team: a button, or the command that starts the page with one. */
  #betterTeam(job, spec) {
    const { question, options, max_rounds } = job;
    const team = this.#form.otherTeam(job.team);
    if (team === null)
      return element("p", { class: "better-team muted" }, "Start this page with a model: ", serveCommand(spec));
    const choose = () => {
      this.#form.fill({ question, options, team, max_rounds });
      this.#form.focusTeam();
    };
    return element("button", { id: "better-team", type: "button", onclick: choose }, "Ask again with another team");
  }

  /** @param {import("./api.js").Job} job */
  #update(job) {
    this.#render(job);
    this.#history.update(job);
  }

  #render(job) {
    this.#job = job;
    const { question, options, trace } = job;
    const playback = {
      video: job.is_playable ? job.video_id : null,
      clips: this.#viewer.clips,
      seek: (time_s) => this.#viewer.seek(time_s),
    };
    const title = job.is_playable
      ? job.video_name
      : `${job.video_name} is no longer in the library: its steps can be read, but not played.`;
    this.#view.update({ question, options, trace, isRunning: isRunning(job), title }, playback);
    this.#progress.update(job);
    this.#viewer.mark(timelineMarks(trace, { isRunning: isRunning(job) }));
    this.#announcer.announceNew(job);
    this.#renderActions(job);
    this.#autoscroll.follow(this.#view.newest);
    document.title = `${job.title || question} · LongVideoAgent`;
  }

  #listen(id) {
    const events = new EventSource(eventsUrl(id));
    this.#events = events;
    events.addEventListener("job", (event) => this.#update(readJobEvent(event)));
    events.addEventListener("end", () => events.close());
    events.addEventListener("error", () => {
      this.#progress.setText("The connection to the server is lost. Trying again …");
      if (events.readyState === EventSource.CLOSED) setTimeout(() => this.#recheck(id), RETRY_MS);
    });
  }

  /** The browser closed the event stream without a reason; an ordinary request gets the reason. */
  async #recheck(id) {
    if (this.#id !== id) return;
    try {
      const job = await readJob(id);
      if (this.#id !== id) return;
      this.#update(job);
      if (isRunning(job)) this.#listen(id);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      if (this.#id !== id) return;
      if (error.isTransient) setTimeout(() => this.#recheck(id), RETRY_MS);
      // The server does not know the job any more: it ended with the server process that ran it.
      else this.#render({ ...this.#job, state: "stopped", cause: error.message });
    }
  }

  async #stop(id) {
    const progress = this.#progress;
    progress.setStopping(true);
    let isAccepted = false;
    await this.#errorBanner.guard(async () => {
      await stopJob(id);
      isAccepted = true;
    });
    progress.setStopping(isAccepted);
  }

  #renderActions(job) {
    const key = JSON.stringify([job.id, job.state]);
    if (isRunning(job) || key === this.#renderedActions) return;
    this.#renderedActions = key;
    const { question, options, team, max_rounds } = job;
    const askAgain = () => {
      this.#form.fill({ question, options, team, max_rounds });
      this.#form.focus();
    };
    const download = (id, href, label) => element("a", { id, class: "button", href, download: true }, label);
    const json = download("download-json", traceUrl(job.id), "Download JSON");
    // The page contains frames, so it needs the video.
    const page = job.is_playable ? [download("download-page", pageUrl(job.id), "Download page")] : [];
    this.#view.actions(
      element("button", { id: "ask-again", type: "button", onclick: askAgain }, "Ask again with …"),
      copyLink(jobHash(job.id)),
      ...(job.trace?.outcome ? [json, ...page] : []),
      element("button", { id: "rename-job", type: "button", onclick: () => this.#rename(job.id) }, "Rename"),
      element("button", { id: "delete-job", type: "button", onclick: () => this.#delete(job) }, "Delete"),
    );
  }

  async #rename(id) {
    const title = await askText("Rename the question in the list", this.#job.title || this.#job.question);
    if (title === null) return;
    await this.#errorBanner.guard(async () => {
      const job = await renameJob(id, title === this.#job.question ? "" : title);
      if (this.#id === id) this.#update(job);
    });
  }

  async #delete(job) {
    const text = `“${job.title || job.question}” and its answer are deleted from the server.`;
    if (!(await confirmDelete("Delete this question?", text))) return;
    await this.#errorBanner.guard(async () => {
      await deleteJob(job.id);
      this.#history.remove(job.id);
      navigateTo(job.is_playable ? videoHash(job.video_id) : "#/");
    });
  }
}
