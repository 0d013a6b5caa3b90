/** Puts the parts together and lets the address decide what is shown. */

import { byId, show } from "./dom.js";
import { announce } from "./announce.js";
import { readHealth, readTeams } from "./api.js";
import { AskView, NOT_OPENED, NO_VIDEO } from "./job-view.js";
import { QuestionForm } from "./question-form.js";
import { History } from "./history.js";
import { Library } from "./library.js";
import { marksOf } from "./timeline-marks.js";
import { Notices } from "./toasts.js";
import { onReturn } from "./refresh.js";
import { followRoutes, goTo, moveOnTo, readRoute, videoHash } from "./routes.js";
import { RunList } from "./run-list.js";
import { RunView } from "./run-view.js";
import { ABOUT, Trouble } from "./error-banner.js";
import { Upload } from "./upload.js";
import { Viewer } from "./viewer.js";

const trouble = new Trouble();
const notices = new Notices();
const history = new History();
const runs = new RunList();
const form = new QuestionForm((ask) => askView.start(ask));
const viewer = new Viewer({
  onVideo: (id) => {
    library.choose(id);
    form.turnTo(id);
    askView.chooseVideo(id);
  },
  onSuggestions: (suggestions) => form.showSuggestions(suggestions),
  onOpened: () => {
    trouble.clear(ABOUT.page);
    askView.sendHeld();
  },
  onTrouble: (id, failure, retry) => {
    askView.dropHeld(NOT_OPENED);
    if (failure.status === 404) tellVideoGone(id, failure.message);
    else trouble.tell(failure.message, failure.isPassing ? retry : null);
  },
});
const askView = new AskView({
  viewer,
  form,
  history,
  trouble,
  onGone: (text) => tellGone(text),
  onVideoGone: (id, text) => tellVideoGone(id, text),
  isOpening,
});
const library = new Library({
  onSubtitles: (id) => viewer.open(id, true),
  onMissing: (id, name) => tellMissing(id, name),
  onBegin: () => beginBringing(),
  guard: (work) => trouble.guard(work, { about: ABOUT.files }),
  tell: (text) => notices.tell(text),
});
const runView = new RunView({
  viewer,
  runs,
  trouble,
  videoName: (id) => library.nameOf(id),
  onGone: (text) => tellGone(text),
  onAskAgain: (video, ask) => {
    form.turnTo(video);
    form.fill(ask);
    // The form can be focused once the page has turned to the video.
    addEventListener("hashchange", () => form.focus(), { once: true });
    goTo(videoHash(video));
  },
});

/** Whether the first load of the lists has succeeded: until then the address is not followed. */
let isLoaded = false;

/** Whether a video will be open soon. The address changes a moment before the page follows it. */
function isOpening() {
  const route = readRoute();
  const isOnItsWay = route.view === "video" && route.id !== viewer.videoId;
  return !isLoaded || isOnItsWay || askView.isReading || viewer.isOpening;
}

/** Videos that were brought and not opened yet, by their ids. @type {Set<string>} */
const justBrought = new Set();

function beginBringing() {
  notices.begin();
  trouble.clear(ABOUT.files);
}

/** What the address names is not there: say so in its place. */
function tellGone(text) {
  document.body.dataset.view = "gone";
  document.title = "Not here · LongVideoAgent";
  for (const id of ["run-view", "welcome"]) show(byId(id), false);
  askView.close();
  viewer.close();
  show(byId("ask-fold"), true);
  form.fold(false);
  form.setUsable(false);
  askView.dropHeld("");
  byId("gone-text").textContent = text;
  show(byId("gone"), true);
  announce(text);
}

/** A video that was there is not any more. What was found in it can still be read. */
function tellMissing(id, name) {
  const text = `${name} is no longer in the library.`;
  const route = readRoute();
  if (route.view === "video" && route.id === id) tellGone(text);
  else if (route.view === "ask" && viewer.videoId === id) {
    trouble.tell(text);
    form.setUsable(false);
  }
}

/** The server does not know the video: the list is read anew, and may have told which one is missing. */
async function tellVideoGone(id, text) {
  const name = library.nameOf(id);
  await trouble.guard(() => library.load());
  const unknown = `No video of the id ${id} is in the library. It may have been deleted.`;
  if (name) tellMissing(id, name);
  else if (readRoute().view === "video") tellGone(unknown);
  else trouble.tell(text);
}

/** @param {import("./routes.js").Route} route */
function showRoute(route) {
  // The page opens what was just brought; what became of the files that came with it is still news then.
  if (!(route.view === "video" && justBrought.delete(route.id))) trouble.clear(ABOUT.files);
  const isRun = route.view === "run";
  const wasRun = !byId("run-view").hidden;
  if (isRun !== wasRun) scrollTo(0, 0);
  document.body.dataset.view = isRun && route.other ? "compare" : route.view;
  show(byId("run-view"), isRun);
  show(byId("ask-fold"), !isRun);
  show(byId("gone"), false);
  form.fold(route.view === "ask");
  form.setUsable(true);
  show(byId("welcome"), route.view === "home");
  if (route.view !== "ask") askView.close();
  if (!isRun) runView.close();
  history.choose(route.view === "ask" ? route.id : null);
  runs.choose(isRun ? route.id : null);
  if (isRun) askView.dropHeld(NO_VIDEO);
  if (isRun) runView.show(route);
  else if (route.view === "ask") askView.show(route.id);
  else if (route.view === "video") showVideo(route.id);
  else if (route.view === "unknown") tellGone(`This page has nothing at the address ${location.hash}.`);
  else showHome();
}

function showVideo(id) {
  document.title = `${library.nameOf(id) ?? "Video"} · LongVideoAgent`;
  viewer.open(id);
  viewer.mark(marksOf(null));
}

/** With nothing chosen the first video is shown: a newcomer can ask at once. */
function showHome() {
  document.title = "LongVideoAgent";
  viewer.close();
  const [first] = library.videos;
  if (first) moveOnTo(videoHash(first.id));
  else askView.dropHeld(NO_VIDEO);
}

/** On narrow screens the library is folded away once something is chosen. */
function unfoldLibrary(isOpen) {
  byId("library-toggle").setAttribute("aria-expanded", String(isOpen));
  byId("library").classList.toggle("open", isOpen);
}

function letLibraryFold() {
  const toggle = byId("library-toggle");
  toggle.addEventListener("click", () => unfoldLibrary(toggle.getAttribute("aria-expanded") !== "true"));
  addEventListener("hashchange", () => unfoldLibrary(false));
}

/** A plain link to #main would be taken for an address of the page. */
function letSkip() {
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("main").focus();
  });
}

function letUpload() {
  new Upload({
    onBegin: beginBringing,
    onVideo: async (video, subtitles) => {
      notices.tell(`${video.name} was added.`);
      if (subtitles) await library.giveSubtitles(video.id, video.name, subtitles);
      await trouble.guard(() => library.load());
      justBrought.add(video.id);
      goTo(videoHash(video.id));
    },
    onSubtitles: (file) => library.addSubtitles(file),
    onFailure: (text, retry = null) => trouble.tell(text, retry, ABOUT.files),
  });
}

/** Others may have brought, deleted and asked meanwhile. */
async function refresh() {
  await Promise.all([library.load(), history.load(), runs.load()]);
  const route = readRoute();
  const isBack = !byId("gone").hidden && route.view === "video" && library.nameOf(route.id) !== null;
  if (isBack) showRoute(route);
}

async function load() {
  const [teams, { version }] = await Promise.all([
    readTeams(),
    readHealth(),
    library.load(),
    history.load(),
    runs.load(),
  ]);
  form.showTeams(teams);
  byId("version").textContent = `version ${version}`;
  unfoldLibrary(library.videos.length === 0);
  isLoaded = true;
  showRoute(readRoute());
}

letLibraryFold();
letSkip();
letUpload();
followRoutes(showRoute);
onReturn(refresh);
trouble.guard(load);
