/**
 * Every request that the page makes, and what comes back. Times are seconds in the video.
 *
 * @typedef {{label: string, start_s: number, end_s: number, density?: number}} Clip
 * @typedef {{clip: string, start_s: number, end_s: number, kind: "subtitle"|"frame", time_s: number,
 *   text: string}} Evidence
 * @typedef {{kind: "grounding", clip: string, start_s: number, end_s: number, clips: Clip[], reason: string,
 *   lines: {time_s: number, text: string, source: "subtitle"|"screen"}[], evidence: Evidence[], seconds: number}
 *   | {kind: "vision", text: string, frames_s: number[], evidence: Evidence[], seconds: number}
 *   | {kind: "notice", text: string, seconds: number}} Observed
 * @typedef {{thought: string, action: "look"|"relocate"|"answer"|"invalid", content: string, clip: string|null,
 *   seconds: number, observed: Observed|null}} Round
 * @typedef {{question: string, options: string[], answer: string, option_index: number|null, confidence: number|null,
 *   outcome: string|null, cause: string, warnings: string[], evidence: Evidence[], first: Observed|null,
 *   rounds: Round[], tokens: number, usd: number, seconds: number, rounds_left: number}} Trajectory
 * @typedef {{id: string, name: string, size_bytes: number|null, kind: "file"|"frames", is_upload: boolean,
 *   has_uploaded_subtitles: boolean}} Video
 * @typedef {Video & {duration_s: number, width_px: number, height_px: number,
 *   playback_mode: "direct"|"remux"|"transcode"}} OpenVideo
 * @typedef {{question: string, options: string[]}} Suggestion
 * @typedef {{duration_s: number, text_source: string, warnings: string[], clips: Clip[],
 *   subtitles: {start_s: number, end_s: number, text: string}[], suggestions: Suggestion[]}} TimelineFacts
 * @typedef {{id: string, video_id: string, video_name: string, question: string, state: string, outcome: string|null,
 *   answer: string, created_at: string}} AskLine
 * @typedef {AskLine & {queue_position: number|null, stage: string, fraction: number|null, team: string, max_rounds: number,
 *   options: string[], is_playable: boolean, cause?: string, trace: Trajectory|null}} Ask
 * @typedef {{id: string, name: string, dataset: string, split: string, team: string, num_questions: number, num_finished: number,
 *   accuracy: number|null, error: string}} Run
 */

const POLL_MS = 500;

/** A request that did not do what it was for. The message is a sentence to show. */
export class RequestFailure extends Error {
  /** @param {string} message @param {number} status HTTP status, 0 where no reply came */
  constructor(message, status) {
    super(message);
    this.status = status;
  }

  /** Whether the same request may well succeed later: the fault is the network's or the server's, not its own. */
  get isPassing() {
    return this.status === 0 || this.status >= 500;
  }
}

const LOST = "The server does not reply. It may have been stopped, or the network is down.";
const NO_TOKEN = "The server wants its token: open the link that it printed when it started.";

/** The sentence in an error's body, or one made from the status. */
function sentence(status, body) {
  try {
    const { detail } = JSON.parse(body);
    if (typeof detail === "string") return detail;
  } catch {
    // Not every proxy on the way answers in JSON; the status is told instead.
  }
  return status === 401 ? NO_TOKEN : `The server answered with error ${status}.`;
}

async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (failure) {
    if (failure.name === "AbortError") throw failure;
    throw new RequestFailure(LOST, 0);
  }
  if (!response.ok) throw new RequestFailure(sentence(response.status, await response.text()), response.status);
  return response;
}

async function getJson(path, options) {
  return (await request(path, options)).json();
}

async function postJson(path, body) {
  const headers = { "Content-Type": "application/json" };
  return (await request(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
}

const part = encodeURIComponent;

export const readHealth = () => getJson("api/health");
export const readTeams = async () => (await getJson("api/teams")).teams;
export const readVideos = () => getJson("api/videos");
export const readVideo = (id, signal) => getJson(`api/videos/${part(id)}`, { signal });
export const readAsks = async () => (await getJson("api/jobs")).jobs;
export const readAsk = (id) => getJson(`api/jobs/${part(id)}`);
export const startAsk = (ask) => postJson("api/jobs", ask);
export const stopAsk = (id) => postJson(`api/jobs/${part(id)}/stop`, {});
export const readRuns = async () => (await getJson("api/runs")).runs;
export const readRun = (id) => getJson(`api/runs/${part(id)}`);
export const readRunQuestion = (id, question) => getJson(`api/runs/${part(id)}/question?question_id=${part(question)}`);
export const readStreamStart = (id, time_s) => getJson(`api/videos/${part(id)}/stream/start?time_s=${time_s}`);

export const fileUrl = (id) => `api/videos/${part(id)}/file`;
export const streamUrl = (id, start_s) => `api/videos/${part(id)}/stream?start_s=${start_s}`;
export const subtitlesUrl = (id) => `api/videos/${part(id)}/subtitles.vtt`;
export const frameUrl = (id, time_s, side_px = 320) =>
  `api/videos/${part(id)}/frame?time_s=${time_s}&side_px=${side_px}`;
export const eventsUrl = (id) => `api/jobs/${part(id)}/events`;
export const traceUrl = (id) => `api/jobs/${part(id)}/trace`;
export const pageUrl = (id) => `api/jobs/${part(id)}/page`;
const uploadUrl = (name) => `api/videos?name=${part(name)}`;
const subtitleUploadUrl = (id, name) => `api/videos/${part(id)}/subtitles?name=${part(name)}`;

/**
 * A video's clips and subtitles. They may have to be made first: `onDoing` is told what is being done meanwhile.
 * @param {string} id
 * @param {(doing: string, share: number|null) => void} onDoing
 * @param {AbortSignal} signal
 * @returns {Promise<TimelineFacts>}
 */
export async function readTimeline(id, onDoing, signal) {
  for (;;) {
    const response = await request(`api/videos/${part(id)}/timeline`, { signal });
    const body = await response.json();
    if (response.status !== 202) return body;
    onDoing(body.stage, body.fraction);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    signal.throwIfAborted();
  }
}

/**
 * Send a file. XMLHttpRequest, because fetch does not tell how far an upload is.
 * @param {string} path
 * @param {File} file
 * @param {(share: number) => void} onShare
 * @returns {{done: Promise<Video|null>, cancel: () => void}} null where it was cancelled
 */
function send(path, file, onShare) {
  const sender = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    sender.upload.onprogress = (event) => onShare(event.total ? event.loaded / event.total : 0);
    sender.onabort = () => resolve(null);
    sender.onerror = () => reject(new RequestFailure(LOST, 0));
    sender.onload = () => {
      if (sender.status < 300) resolve(JSON.parse(sender.responseText));
      else reject(new RequestFailure(sentence(sender.status, sender.responseText), sender.status));
    };
    sender.open("POST", path);
    sender.setRequestHeader("Content-Type", "application/octet-stream");
    sender.send(file);
  });
  return { done, cancel: () => sender.abort() };
}

export const sendVideo = (file, onShare) => send(uploadUrl(file.name), file, onShare);
export const sendSubtitles = (id, file, onShare) => send(subtitleUploadUrl(id, file.name), file, onShare);
