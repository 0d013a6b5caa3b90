/**
 * All requests of the page and the types of their replies. Times are seconds in the video.
 *
 * @typedef {{label: string, start_s: number, end_s: number, density?: number}} Clip
 * @typedef {{clip: string, start_s: number, end_s: number, kind: "subtitle"|"frame"|"sound", time_s: number,
 *   text: string}} Evidence
 * @typedef {{start_s: number, end_s: number, text: string, source: "subtitle"|"screen"|"sound"|"object"}} Line
 * @typedef {{prompt_tokens: number, completion_tokens: number, seconds: number, usd: number}} Usage
 * @typedef {{kind: "grounding", title: string, frame_times_s: number[], clip: string,
 *   window: (Clip & {subtitles: Line[]})[],
 *   candidates: {label: string, reason: string}[], reason: string, evidence: Evidence[], usage: Usage}
 *   | {kind: "vision", title: string, frame_times_s: number[], text: string, evidence: Evidence[], usage: Usage}
 *   | {kind: "timeline", title: string, frame_times_s: number[], text: string, value: string, evidence: Evidence[],
 *      usage: Usage}
 *   | {kind: "notice", title: string, frame_times_s: number[], text: string, usage: Usage}} Observation
 * @typedef {{name: string, label: string, icon: string, agent: string|null, is_final: boolean,
 *   is_error: boolean}} Action
 * @typedef {{thought: string, action: string, argument: string, clip: string|null, reply: {usage: Usage},
 *   observation: Observation|null}} Round
 * @typedef {{question: string, options: string[], answer: string, option_index: number|null, confidence: number|null,
 *   outcome: string|null, cause: string, warnings: string[], evidence: Evidence[], usage: Usage,
 *   first_grounding: Observation|null, rounds: Round[]}} Trace
 * @typedef {{id: string, name: string, size_bytes: number|null, kind: "file"|"frames", is_upload: boolean,
 *   has_uploaded_subtitles: boolean, uploaded_subtitles: string|null}} Video
 * @typedef {Video & {duration_s: number, width_px: number, height_px: number,
 *   playback_mode: "direct"|"remux"|"transcode"}} OpenVideo
 * @typedef {{question: string, options: string[]}} Suggestion
 * @typedef {{duration_s: number, text_source: string, warnings: string[], clips: Clip[],
 *   subtitles: Line[], suggestions: Suggestion[]}} TimelineFacts
 * @typedef {{start_s: number, end_s: number, title: string, key_lines: {start_s: number, text: string}[]}} Chapter
 * @typedef {{id: string, video_id: string, video_name: string, question: string, title: string, state: string, outcome: string|null,
 *   answer: string, created_at: string}} JobSummary
 * @typedef {JobSummary & {queue_position: number|null, stage: string, fraction: number|null, team: string,
 *   max_rounds: number, options: string[], is_playable: boolean, cause?: string, trace: Trace|null}} Job
 * @typedef {{id: string, name: string, dataset: string, split: string, team: string, num_questions: number,
 *   num_finished: number, accuracy: number|null, error: string}} Run
 */

import { traceWithViews } from "./observation.js";

const POLL_MS = 500;

/** A request that failed. The message is a sentence to show. */
export class RequestError extends Error {
  /** @param {string} message @param {number} status HTTP status; 0 if no reply came */
  constructor(message, status) {
    super(message);
    this.status = status;
  }

  /** Whether the same request may succeed later: the cause is the network or the server, not the request. */
  get isTransient() {
    return this.status === 0 || this.status >= 500;
  }
}

const NO_REPLY = "The server does not reply. It may have been stopped, or the network is down.";
const NO_TOKEN = "The server needs its token: open the link that it printed when it started.";

/** The message in the body of an error, or one built from the status. */
function errorText(status, body) {
  try {
    const { detail } = JSON.parse(body);
    if (typeof detail === "string") return detail;
  } catch {
    // Proxies may reply with something other than JSON; the status is shown instead.
  }
  return status === 401 ? NO_TOKEN : `The server answered with error ${status}.`;
}

async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new RequestError(NO_REPLY, 0);
  }
  if (!response.ok) throw new RequestError(errorText(response.status, await response.text()), response.status);
  return response;
}

async function getJson(path, options) {
  return (await request(path, options)).json();
}

async function sendJson(method, path, body) {
  const headers = { "Content-Type": "application/json" };
  return (await request(path, { method, headers, body: JSON.stringify(body) })).json();
}

const postJson = (path, body) => sendJson("POST", path, body);
const patchJson = (path, body) => sendJson("PATCH", path, body);
const remove = (path) => request(path, { method: "DELETE" });

const encode = encodeURIComponent;
const withViews = (record) => ({ ...record, trace: traceWithViews(record) });

export const readHealth = () => getJson("api/health");
export const readActions = async () => (await getJson("api/actions")).actions;
/** @returns {Promise<{default_max_rounds: number, max_rounds: number}>} */
export const readLimits = () => getJson("api/limits");
export const readTeams = async () => (await getJson("api/teams")).teams;
export const readVideos = () => getJson("api/videos");
export const readVideo = (id, signal) => getJson(`api/videos/${encode(id)}`, { signal });
/** @returns {Promise<Chapter[]>} */
export const readChapters = async (id, signal) =>
  (await getJson(`api/videos/${encode(id)}/chapters`, { signal })).chapters;
export const readJobs = async () => (await getJson("api/jobs")).jobs;
export const readJob = async (id) => withViews(await getJson(`api/jobs/${encode(id)}`));
export const createJob = async (job) => withViews(await postJson("api/jobs", job));
/** @param {MessageEvent} event of `eventsUrl` @returns {Job} */
export const readJobEvent = (event) => withViews(JSON.parse(event.data));
export const stopJob = (id) => postJson(`api/jobs/${encode(id)}/stop`, {});
export const renameJob = async (id, title) => withViews(await patchJson(`api/jobs/${encode(id)}`, { title }));
export const deleteJob = (id) => remove(`api/jobs/${encode(id)}`);
export const renameVideo = (id, name) => patchJson(`api/videos/${encode(id)}`, { name });
export const deleteVideo = (id) => remove(`api/videos/${encode(id)}`);
export const renameSubtitles = (id, name) => patchJson(`api/videos/${encode(id)}/subtitles`, { name });
export const deleteSubtitles = (id) => remove(`api/videos/${encode(id)}/subtitles`);
export const readRuns = async () => (await getJson("api/runs")).runs;
export const readRun = (id) => getJson(`api/runs/${encode(id)}`);
export const readRunQuestion = async (id, question) =>
  withViews(await getJson(`api/runs/${encode(id)}/question?question_id=${encode(question)}`));
export const readStreamStart = (id, time_s) => getJson(`api/videos/${encode(id)}/stream/start?time_s=${time_s}`);

export const fileUrl = (id) => `api/videos/${encode(id)}/file`;
export const streamUrl = (id, start_s) => `api/videos/${encode(id)}/stream?start_s=${start_s}`;
export const subtitlesUrl = (id) => `api/videos/${encode(id)}/subtitles.vtt`;
export const frameUrl = (id, time_s, side_px = 320) =>
  `api/videos/${encode(id)}/frame?time_s=${time_s}&side_px=${side_px}`;
export const thumbnailUrl = (id) => `api/videos/${encode(id)}/thumbnail`;
export const eventsUrl = (id) => `api/jobs/${encode(id)}/events`;
export const traceUrl = (id) => `api/jobs/${encode(id)}/trace`;
export const pageUrl = (id) => `api/jobs/${encode(id)}/page`;
const uploadUrl = (name) => `api/videos?name=${encode(name)}`;
const subtitleUploadUrl = (id, name) => `api/videos/${encode(id)}/subtitles?name=${encode(name)}`;

/**
 * A video's clips and subtitles. The server may have to extract them first and reports its progress.
 * @param {string} id
 * @param {(stage: string, fraction: number|null) => void} onProgress
 * @param {AbortSignal} signal
 * @returns {Promise<TimelineFacts>}
 */
export async function readTimeline(id, onProgress, signal) {
  for (;;) {
    const response = await request(`api/videos/${encode(id)}/timeline`, { signal });
    const body = await response.json();
    if (response.status !== 202) return body;
    onProgress(body.stage, body.fraction);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    signal.throwIfAborted();
  }
}

/**
 * Send a file. XMLHttpRequest, because fetch does not report upload progress.
 * @param {string} path
 * @param {File} file
 * @param {(fraction: number) => void} onFraction
 * @returns {{done: Promise<Video|null>, cancel: () => void}} null if it was cancelled
 */
function send(path, file, onFraction) {
  const xhr = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    xhr.upload.onprogress = (event) => onFraction(event.total ? event.loaded / event.total : 0);
    xhr.onabort = () => resolve(null);
    xhr.onerror = () => reject(new RequestError(NO_REPLY, 0));
    xhr.onload = () => {
      if (xhr.status < 300) resolve(JSON.parse(xhr.responseText));
      else reject(new RequestError(errorText(xhr.status, xhr.responseText), xhr.status));
    };
    xhr.open("POST", path);
    xhr.setRequestHeader("Content-Type", "application/octet-stream");
    xhr.send(file);
  });
  return { done, cancel: () => xhr.abort() };
}

export const sendVideo = (file, onFraction) => send(uploadUrl(file.name), file, onFraction);
export const sendSubtitles = (id, file, onFraction) => send(subtitleUploadUrl(id, file.name), file, onFraction);
