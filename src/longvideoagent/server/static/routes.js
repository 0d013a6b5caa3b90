/** The address after the # decides what the page shows, so that reloads and links keep it. */

/**
 * @typedef {{view: "home"} | {view: "unknown"} | {view: "video", id: string} | {view: "job", id: string}
 *   | {view: "run", id: string, question: string|null, other: string|null}} Route
 */

const VIEWS = { videos: "video", jobs: "job", runs: "run" };

/** @returns {Route} */
export function readRoute() {
  const [path, query = ""] = location.hash.slice(1).split("?");
  const [, folder, id] = path.split("/");
  const view = VIEWS[folder];
  if (!path || path === "/") return { view: "home" };
  if (!view || !id) return { view: "unknown" };
  const route = { view, id: decodeOrKeep(id) };
  if (view !== "run") return route;
  const values = new URLSearchParams(query);
  return { ...route, question: values.get("question"), other: values.get("with") };
}

/** An address may be typed by hand; a malformed % escape is kept. */
function decodeOrKeep(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const videoHash = (id) => `#/videos/${encodeURIComponent(id)}`;
export const jobHash = (id) => `#/jobs/${encodeURIComponent(id)}`;

/** @param {string} id @param {{question?: string|null, other?: string|null}} [rest] */
export function runHash(id, { question = null, other = null } = {}) {
  const values = [];
  if (other) values.push(`with=${encodeURIComponent(other)}`);
  if (question) values.push(`question=${encodeURIComponent(question)}`);
  return `#/runs/${encodeURIComponent(id)}${values.length ? "?" : ""}${values.join("&")}`;
}

/** The absolute link to a hash, without the token that this page's own address may contain. */
export function absoluteUrl(hash) {
  return `${location.origin}${location.pathname}${hash}`;
}

/** Go to another route. */
export function navigateTo(hash) {
  location.hash = hash;
}

/** Go to another route without a new entry in the browser history. */
export function replaceRoute(hash) {
  location.replace(hash);
}

/** Call `onRoute` whenever the route changes. */
export function followRoutes(onRoute) {
  addEventListener("hashchange", () => onRoute(readRoute()));
}
