/** Puts the parts together and lets the address decide what is shown. */

import { byId, show } from "./element.js";
import { announce } from "./announce.js";
import { readHealth, readTeams } from "./api.js";
import { AskView } from "./ask.js";
import { QuestionForm } from "./form.js";
import { History } from "./history.js";
import { Library } from "./library.js";
import { marksOf } from "./marks.js";
import { followRoutes, goTo, moveOnTo, readRoute, videoHash } from "./routes.js";
import { RunList } from "./runlist.js";
import { RunView } from "./run.js";
import { Trouble } from "./trouble.js";
import { Upload } from "./upload.js";
import { Viewer } from "./viewer.js";

const trouble = new Trouble();
const history = new History();
const runs = new RunList();
const form = new QuestionForm((ask) => askView.start(ask));
const viewer = new Viewer({
  onVideo: (id) => library.choose(id),
  onSuggestions: (suggestions) => form.showSuggestions(suggestions),
  onTrouble: (failure, retry) => trouble.tell(failure.message, retry),
});
const askView = new AskView({ viewer, form, history, trouble });
const library = new Library({
  onSubtitles: (id) => viewer.open(id, true),
  guard: (work) => trouble.guard(work),
  tell: (text) => tellAdded(text),
});
const runView = new RunView({
  viewer,
  runs,
  trouble,
  videoName: (id) => library.nameOf(id),
  onAskAgain: (video, ask) => {
    form.fill(ask);
    // The form can be focused once the page has turned to the video.
    addEventListener("hashchange", () => form.focus(), { once: true });
    goTo(videoHash(video));
  },
});

function tellAdded(text) {
  byId("added").textContent = text;
  announce(text);
}

/** @param {import("./routes.js").Route} route */
function showRoute(route) {
  const isRun = route.view === "run";
  const wasRun = !byId("run-view").hidden;
  if (isRun !== wasRun) scrollTo(0, 0);
  document.body.dataset.view = isRun && route.other ? "compare" : route.view;
  show(byId("run-view"), isRun);
  show(byId("ask-form"), !isRun);
  show(byId("welcome"), route.view === "home");
  if (route.view !== "ask") askView.close();
  if (!isRun) runView.close();
  history.choose(route.view === "ask" ? route.id : null);
  runs.choose(isRun ? route.id : null);
  if (isRun) runView.show(route);
  else if (route.view === "ask") askView.show(route.id);
  else if (route.view === "video") showVideo(route.id);
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
    onVideo: async (video) => {
      tellAdded(`${video.name} was added.`);
      await trouble.guard(() => library.load());
      goTo(videoHash(video.id));
    },
    onSubtitles: (file) => library.addSubtitles(file),
    onFailure: (text) => trouble.tell(text),
  });
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
  showRoute(readRoute());
}

letLibraryFold();
letSkip();
letUpload();
followRoutes(showRoute);
trouble.guard(load);
