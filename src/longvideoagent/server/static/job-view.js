/** One ask on the page, from the queue to its answer. */

import { byId, bringIntoSight, element, show } from "./dom.js";
import { AskAnnouncer } from "./announce.js";
import { RequestFailure, eventsUrl, pageUrl, readAsk, startAsk, stopAsk, traceUrl } from "./api.js";
import { Follower } from "./autoscroll.js";
import { copyLink } from "./copy-link.js";
import { marksOf } from "./timeline-marks.js";
import { askHash, goTo } from "./routes.js";
import { TrajectoryView } from "./trajectory-view.js";
import { percent } from "./format.js";

const RETRY_MS = 2000;
export const NOT_OPENED = "The question was not sent because the video could not be opened.";
export const NO_VIDEO = "Choose a video first, or add one.";
const isRunning = (ask) => ask.state === "queued" || ask.state === "running";

/** How far an ask is, in words and as a bar, and the button that stops it. */
class Progress {
  #text = element("p");
  #bar = element("progress", { max: 1, "aria-label": "How far the preparation is" });
  #stop;
  element;

  /** @param {() => void} onStop */
  constructor(onStop) {
    this.#stop = element("button", { id: "stop-button", type: "button", onclick: onStop }, "Stop");
    this.element = element("div", { class: "progress" }, this.#text, this.#bar, this.#stop);
  }

  /** @param {import("./api.js").Ask} ask */
  update(ask) {
    const { state, cause } = ask;
    this.element.dataset.state = state;
    this.#text.textContent = cause && state === "failed" ? cause : whereItIs(ask);
    show(this.#bar, isRunning(ask) && Boolean(ask.stage));
    if (ask.fraction === null) this.#bar.removeAttribute("value");
    else this.#bar.value = ask.fraction;
    show(this.#stop, isRunning(ask));
    show(this.element, state !== "finished");
  }

  say(text) {
    this.#text.textContent = text;
  }

  setStopping(isStopping) {
    this.#stop.disabled = isStopping;
    this.#stop.textContent = isStopping ? "Stopping …" : "Stop";
  }
}

function whereItIs({ state, cause, queue_position, stage, fraction, trace: trajectory, max_rounds }) {
  const rest = trajectory ? " What it had found until then is below." : "";
  if (state === "stopped") return `Stopped${cause ? `: ${/[.!?]$/.test(cause) ? cause : `${cause}.`}` : "."}${rest}`;
  if (state === "failed") return "The video could not be opened.";
  if (state === "queued") return queue_position ? `Waiting: place ${queue_position} in the queue.` : "Waiting in the queue.";
  if (stage) return fraction === null ? `${stage} …` : `${stage}, ${percent(fraction)}`;
  const round = trajectory?.rounds.length ?? 0;
  return round ? `Round ${round} of at most ${max_rounds}` : "Finding where to look first";
}

export class AskView {
  #viewer;
  #form;
  #history;
  #trouble;
  #onGone;
  #onVideoGone;
  /** What is shown, as it was last told. @type {import("./api.js").Ask|null} */
  #ask = null;
  /** @type {EventSource|null} */
  #events = null;
  /** The ask shown; null where none is. */
  #id = null;
  /** @type {TrajectoryView|null} */
  #view = null;
  /** @type {Progress|null} */
  #progress = null;
  #announcer = new AskAnnouncer();
  #follower = new Follower();
  #actionsFor = "";
  /** The question to send once its video is open. @type {{video: string|null, wanted: Object}|null} */
  #held = null;
  #isOpening;
  #isReading = false;

  /**
   * @param {{viewer: import("./viewer.js").Viewer, form: import("./question-form.js").QuestionForm,
   *   history: import("./history.js").History, trouble: import("./error-banner.js").Trouble,
   *   onGone: (text: string) => void, onVideoGone: (id: string, text: string) => void,
   *   isOpening: () => boolean}} parts `isOpening`: whether a video will be open soon, without a further click
   */
  constructor({ viewer, form, history, trouble, onGone, onVideoGone, isOpening }) {
    this.#viewer = viewer;
    this.#form = form;
    this.#history = history;
    this.#trouble = trouble;
    this.#onGone = onGone;
    this.#onVideoGone = onVideoGone;
    this.#isOpening = isOpening;
  }

  /** Send a question about the chosen video, or hold it until that video is open. */
  async start(wanted) {
    const video = this.#viewer.videoId;
    if (this.#isOpening()) {
      this.#held = { video, wanted };
      this.#form.setBusy(true);
      this.#form.tell("The video is not open yet. The question will be sent as soon as it is.", "soft");
      return;
    }
    if (video) await this.#send(video, wanted);
    else this.#form.tell(NO_VIDEO);
  }

  /** A video was chosen: a question held for another one is not sent. @param {string|null} video */
  chooseVideo(video) {
    if (!this.#held) return;
    if (this.#held.video === null) this.#held.video = video;
    else if (this.#held.video !== video)
      this.dropHeld("The question was not sent because another video was chosen. It is kept with its own video.");
  }

  /** Send the held question, unless its video is still being opened. */
  async sendHeld() {
    if (!this.#held || this.#isOpening()) return;
    const { wanted } = this.#held;
    this.dropHeld("");
    await this.start(wanted);
  }

  /** Do not send the held question. It stays in the form, with the reason below it. @param {string} reason */
  dropHeld(reason) {
    if (!this.#held) return;
    this.#held = null;
    this.#form.setBusy(false);
    this.#form.tell(reason);
  }

  async #send(video, wanted) {
    this.#form.setBusy(true);
    const start = async () => {
      const ask = await startAsk({ video_id: video, ...wanted });
      this.#trouble.clear();
      this.#history.update(ask);
      this.#form.foldSuggestions();
      this.#form.fold(true);
      this.#begin(ask);
      goTo(askHash(ask.id));
      bringIntoSight(this.#view.element, "start");
    };
    await this.#trouble.guard(start, { onGone: (text) => this.#onVideoGone(video, text) });
    this.#form.setBusy(false);
  }

  /** Whether it is still reading the question to show, and so does not know the video yet. */
  get isReading() {
    return this.#isReading;
  }

  /** Show it; nothing changes where it is shown already. */
  async show(id) {
    if (id === this.#id) return;
    this.close();
    this.#id = id;
    const read = async () => {
      this.#isReading = true;
      const ask = await readAsk(id);
      if (this.#id !== id) return;
      this.#isReading = false;
      this.#begin(ask);
      this.sendHeld();
    };
    await this.#trouble.guard(read, { onGone: (text) => this.#id === id && this.#onGone(text) });
    if (this.#id === id && this.#isReading) {
      this.#isReading = false;
      this.dropHeld(NOT_OPENED);
    }
  }

  close() {
    this.#events?.close();
    this.#events = null;
    this.#id = null;
    this.#isReading = false;
    this.#follower.stop();
    this.#view?.element.remove();
    this.#view = null;
  }

  #begin(ask) {
    this.close();
    this.#id = ask.id;
    this.#view = new TrajectoryView();
    this.#progress = new Progress(() => this.#stop(ask.id));
    this.#announcer = new AskAnnouncer();
    this.#actionsFor = "";
    this.#view.before(this.#progress.element);
    byId("trajectories").replaceChildren(this.#view.element);
    if (ask.is_playable) this.#viewer.open(ask.video_id);
    else this.#viewer.openGiven(null, ask.video_name, { duration_s: null, clips: [] });
    if (!isRunning(ask)) this.#announcer.catchUp(ask);
    this.#update(ask);
    if (!isRunning(ask)) return;
    this.#follower.start(this.#view.element);
    this.#listen(ask.id);
  }

  /** @param {import("./api.js").Ask} ask */
  #update(ask) {
    this.#render(ask);
    this.#history.update(ask);
  }

  #render(ask) {
    this.#ask = ask;
    const { question, options, trace: trajectory } = ask;
    const sight = { video: ask.is_playable ? ask.video_id : null, seek: (time_s) => this.#viewer.seek(time_s) };
    const title = ask.is_playable
      ? ask.video_name
      : `${ask.video_name} is no longer in the library: its moments can be read, not seen.`;
    this.#view.update({ question, options, trajectory, isRunning: isRunning(ask), title }, sight);
    this.#progress.update(ask);
    this.#viewer.mark(marksOf(trajectory, { isRunning: isRunning(ask) }));
    this.#announcer.tell(ask);
    this.#offerActions(ask);
    this.#follower.reach(this.#view.newest);
    document.title = `${question} · LongVideoAgent`;
  }

  #listen(id) {
    const events = new EventSource(eventsUrl(id));
    this.#events = events;
    events.addEventListener("job", (event) => this.#update(JSON.parse(event.data)));
    events.addEventListener("end", () => events.close());
    events.addEventListener("error", () => {
      this.#progress.say("The connection to the server is lost. Trying again …");
      if (events.readyState === EventSource.CLOSED) setTimeout(() => this.#askWhy(id), RETRY_MS);
    });
  }

  /** The browser gave up on the events, without saying why: an ordinary request is told. */
  async #askWhy(id) {
    if (this.#id !== id) return;
    try {
      const ask = await readAsk(id);
      if (this.#id !== id) return;
      this.#update(ask);
      if (isRunning(ask)) this.#listen(id);
    } catch (failure) {
      if (!(failure instanceof RequestFailure)) throw failure;
      if (this.#id !== id) return;
      if (failure.isPassing) setTimeout(() => this.#askWhy(id), RETRY_MS);
      // The server does not know it any more, so it ended with the server that did.
      else this.#render({ ...this.#ask, state: "stopped", cause: failure.message });
    }
  }

  async #stop(id) {
    const progress = this.#progress;
    progress.setStopping(true);
    let isAccepted = false;
    await this.#trouble.guard(async () => {
      await stopAsk(id);
      isAccepted = true;
    });
    progress.setStopping(isAccepted);
  }

  #offerActions(ask) {
    const wanted = JSON.stringify([ask.id, ask.state]);
    if (isRunning(ask) || wanted === this.#actionsFor) return;
    this.#actionsFor = wanted;
    const { question, options, team, max_rounds } = ask;
    const again = () => {
      this.#form.fill({ question, options, team, max_rounds });
      this.#form.focus();
    };
    const download = (id, href, words) => element("a", { id, class: "button", href, download: true }, words);
    const json = download("download-json", traceUrl(ask.id), "Download JSON");
    // The page holds frames, which are gone where the video is.
    const page = ask.is_playable ? [download("download-page", pageUrl(ask.id), "Download page")] : [];
    this.#view.actions(
      element("button", { id: "ask-again", type: "button", onclick: again }, "Ask again with …"),
      copyLink(askHash(ask.id)),
      ...(ask.trace?.outcome ? [json, ...page] : []),
    );
  }
}
