/** The address after the #: it alone says what the page shows, so reloading and links keep it. */

/**
 * @typedef {{view: "home"} | {view: "unknown"} | {view: "video", id: string} | {view: "ask", id: string}
 *   | {view: "run", id: string, question: string|null, other: string|null}} Route
 */

const VIEWS = { videos: "video", jobs: "ask", runs: "run" };

/** @returns {Route} */
export function readRoute() {
  const [path, query = ""] = location.hash.slice(1).split("?");
  const [, folder, id] = path.split("/");
  const view = VIEWS[folder];
  if (!path || path === "/") return { view: "home" };
  if (!view || !id) return { view: "unknown" };
  const route = { view, id: decoded(id) };
  if (view !== "run") return route;
  const values = new URLSearchParams(query);
  return { ...route, question: values.get("question"), other: values.get("with") };
}

/** An address may be typed by hand; a stray % in it is not a reason to stop. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const videoHash = (id) => `#/videos/${encodeURIComponent(id)}`;
export const askHash = (id) => `#/jobs/${encodeURIComponent(id)}`;

/** @param {string} id @param {{question?: string|null, other?: string|null}} [rest] */
export function runHash(id, { question = null, other = null } = {}) {
  const values = [];
  if (other) values.push(`with=${encodeURIComponent(other)}`);
  if (question) values.push(`question=${encodeURIComponent(question)}`);
  return `#/runs/${encodeURIComponent(id)}${values.length ? "?" : ""}${values.join("&")}`;
}

/** The whole link to what `hash` shows, without a token that may be in this page's own address. */
export function linkTo(hash) {
  return `${location.origin}${location.pathname}${hash}`;
}

/** Show something else. */
export function goTo(hash) {
  location.hash = hash;
}

/** Show something else and leave no step to go back to. */
export function moveOnTo(hash) {
  location.replace(hash);
}

/** Call `show` whenever the route changes. */
export function followRoutes(show) {
  addEventListener("hashchange", () => show(readRoute()));
}
