/** Connects the parts of the page; the address decides what is shown. */

import { loadActions } from "./actions.js";
import { announce } from "./announce.js";
import { readHealth, readLimits, readTeams } from "./api.js";
import { byId, setVisible } from "./dom.js";
import { ABOUT, ErrorBanner } from "./error-banner.js";
import { History } from "./history.js";
import { JobView, NO_VIDEO, NOT_OPENED } from "./job-view.js";
import { Library } from "./library.js";
import { QuestionForm } from "./question-form.js";
import { onPageVisible } from "./refresh.js";
import { followRoutes, navigateTo, readRoute, replaceRoute, videoHash } from "./routes.js";
import { RunList } from "./run-list.js";
import { RunView } from "./run-view.js";
import { timelineMarks } from "./timeline-marks.js";
import { Toasts } from "./toasts.js";
import { Upload } from "./upload.js";
import { Viewer } from "./viewer.js";

const errorBanner = new ErrorBanner();
const toasts = new Toasts();
const history = new History();
const runs = new RunList();
const form = new QuestionForm((draft) => jobView.start(draft));
const viewer = new Viewer({
  onVideo: (id) => {
    library.choose(id);
    form.setVideo(id);
    jobView.chooseVideo(id);
  },
  onSuggestions: (suggestions) => form.showSuggestions(suggestions),
  onOpened: () => {
    errorBanner.clear(ABOUT.page);
    jobView.sendQueued();
  },
  onTimeline: () => jobView.updateClips(),
  onError: (id, error, retry) => {
    jobView.dropQueued(NOT_OPENED);
    if (error.status === 404) onVideoNotFound(id, error.message);
    else errorBanner.add(error.message, error.isTransient ? retry : null);
  },
});
const jobView = new JobView({
  viewer,
  form,
  history,
  errorBanner,
  onNotFound: (text) => showNotFound(text),
  onVideoNotFound: (id, text) => onVideoNotFound(id, text),
  isOpening,
});
const library = new Library({
  onSubtitles: (id) => viewer.open(id, true),
  onMissing: (id, name) => onVideoMissing(id, name),
  onStart: () => startUpload(),
  guard: (work) => errorBanner.guard(work, { about: ABOUT.files }),
  onMessage: (text) => toasts.add(text),
});
const runView = new RunView({
  viewer,
  runs,
  errorBanner,
  videoName: (id) => library.nameOf(id),
  onNotFound: (text) => showNotFound(text),
  onAskAgain: (video, draft) => {
    form.setVideo(video);
    form.fill(draft);
    // The form can take the focus once the page shows the video.
    addEventListener("hashchange", () => form.focus(), { once: true });
    navigateTo(videoHash(video));
  },
});

/** Whether the first load of the lists has succeeded; until then no route is shown. */
let isLoaded = false;

/** Whether a video is about to be open. The address changes before the page shows its route. */
function isOpening() {
  const route = readRoute();
  const isRouteAhead = route.view === "video" && route.id !== viewer.videoId;
  return !isLoaded || isRouteAhead || jobView.isReading || viewer.isOpening;
}

/** Ids of videos that the page itself is about to open: after an upload, or in place of the home view. @type {Set<string>} */
const openedByPage = new Set();

function startUpload() {
  toasts.clear();
  errorBanner.clear(ABOUT.files);
}

/** Show that the address leads to nothing. */
function showNotFound(text) {
  document.body.dataset.view = "not-found";
  document.title = "Not found · LongVideoAgent";
  for (const id of ["run-view", "welcome"]) setVisible(byId(id), false);
  jobView.close();
  viewer.close();
  setVisible(byId("question-fold"), true);
  form.fold(false);
  form.setEnabled(false);
  jobView.dropQueued("");
  byId("not-found-text").textContent = text;
  setVisible(byId("not-found"), true);
  announce(text);
}

/** A video has left the library. The steps of its questions can still be read. */
function onVideoMissing(id, name) {
  const text = `${name} is no longer in the library.`;
  const route = readRoute();
  if (route.view === "video" && route.id === id) showNotFound(text);
  else if (route.view === "job" && viewer.videoId === id) {
    errorBanner.add(text);
    form.setEnabled(false);
  }
}

/** The server does not know the video. Loading the list shows whether it was there before. */
async function onVideoNotFound(id, text) {
  const name = library.nameOf(id);
  await errorBanner.guard(() => library.load());
  const unknown = `No video of the id ${id} is in the library. It may have been deleted.`;
  if (name) onVideoMissing(id, name);
  else if (readRoute().view === "video") showNotFound(unknown);
  else errorBanner.add(text);
}

/** A route that the user chose ends the messages about uploaded files. @param {import("./routes.js").Route} route */
function followRoute(route) {
  if (!isLoaded) return; // load ends with the route that is then in the address
  if (!(route.view === "video" && openedByPage.delete(route.id))) errorBanner.clear(ABOUT.files);
  showRoute(route);
}

/** @param {import("./routes.js").Route} route */
function showRoute(route) {
  const isRun = route.view === "run";
  const wasRun = !byId("run-view").hidden;
  if (isRun !== wasRun) scrollTo(0, 0);
  document.body.dataset.view = isRun && route.other ? "compare" : route.view;
  setVisible(byId("run-view"), isRun);
  setVisible(byId("question-fold"), !isRun);
  setVisible(byId("not-found"), false);
  form.fold(route.view === "job");
  form.setEnabled(true);
  setVisible(byId("welcome"), route.view === "home");
  if (route.view !== "job") jobView.close();
  if (!isRun) runView.close();
  history.choose(route.view === "job" ? route.id : null);
  runs.choose(isRun ? route.id : null);
  if (isRun) jobView.dropQueued(NO_VIDEO);
  if (isRun) runView.show(route);
  else if (route.view === "job") jobView.show(route.id);
  else if (route.view === "video") showVideo(route.id);
  else if (route.view === "unknown") showNotFound(`This page has nothing at the address ${location.hash}.`);
  else showHome();
}

function showVideo(id) {
  document.title = `${library.nameOf(id) ?? "Video"} · LongVideoAgent`;
  viewer.open(id);
  viewer.mark(timelineMarks(null));
}

/** Without a choice, show the first video so that a question can be asked at once. */
function showHome() {
  document.title = "LongVideoAgent";
  viewer.close();
  const [first] = library.videos;
  if (first) {
    openedByPage.add(first.id);
    replaceRoute(videoHash(first.id));
  } else jobView.dropQueued(NO_VIDEO);
}

/** On narrow screens the library is folded until its button is pressed. */
function setLibraryOpen(isOpen) {
  byId("library-toggle").setAttribute("aria-expanded", String(isOpen));
  byId("library").classList.toggle("open", isOpen);
}

function setupLibraryToggle() {
  const toggle = byId("library-toggle");
  toggle.addEventListener("click", () => setLibraryOpen(toggle.getAttribute("aria-expanded") !== "true"));
  addEventListener("hashchange", () => setLibraryOpen(false));
}

/** A plain link to #main would change the route. */
function setupSkipLink() {
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("main").focus();
  });
}

function setupUpload() {
  new Upload({
    onStart: startUpload,
    onVideo: async (video, subtitles) => {
      toasts.add(
        video.is_new ? `${video.name} was added.` : `This video was uploaded before, as ${video.name}; it was opened.`,
      );
      if (subtitles) await library.uploadSubtitles(video.id, video.name, subtitles);
      await errorBanner.guard(() => library.load());
      openedByPage.add(video.id);
      navigateTo(videoHash(video.id));
    },
    onSubtitles: (file) => library.addSubtitlesToChosen(file),
    onError: (text, retry = null) => errorBanner.add(text, retry, ABOUT.files),
  });
}

/** Others may have added or deleted videos and asked questions meanwhile. */
async function refresh() {
  await Promise.all([library.load(), history.load(), runs.load()]);
  const route = readRoute();
  const isBack = !byId("not-found").hidden && route.view === "video" && library.nameOf(route.id) !== null;
  if (isBack) showRoute(route);
}

async function load() {
  const [teams, { version }, limits] = await Promise.all([
    readTeams(),
    readHealth(),
    readLimits(),
    loadActions(),
    library.load(),
    history.load(),
    runs.load(),
  ]);
  form.showTeams(teams);
  form.setLimits(limits);
  byId("version").textContent = `version ${version}`;
  setLibraryOpen(library.videos.length === 0);
  isLoaded = true;
  showRoute(readRoute());
}

setupLibraryToggle();
setupSkipLink();
setupUpload();
followRoutes(followRoute);
onPageVisible(refresh);
errorBanner.guard(load);
