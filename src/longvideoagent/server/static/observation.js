/** Facts of an observation: pure functions of the trace. */

const MAX_FRAMES = 4;

/** The located clip with its span. @param {Extract<import("./api.js").Observation, {kind: "grounding"}>} grounding */
export function locatedClip({ clip, window }) {
  return window.find(({ label }) => label === clip) ?? { label: clip, start_s: 0, end_s: 0, subtitles: [] };
}

/** Times of up to `MAX_FRAMES` frames that a vision result cites, evenly spread, as in the report. */
export function frameTimes({ kind, evidence }) {
  if (kind !== "vision") return [];
  const times = [...new Set(evidence.map(({ time_s }) => time_s))].sort((one, other) => one - other);
  const step = Math.max(1, Math.ceil(times.length / MAX_FRAMES));
  return times.filter((_, index) => index % step === 0);
}
