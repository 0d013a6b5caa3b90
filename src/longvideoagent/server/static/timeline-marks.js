/** The marks of a trace on the timeline. */

/**
 * @typedef {{visited: Set<string>, current: string|null, evidence: import("./api.js").Evidence[], frames_s: number[],
 *   gold: {start_s: number, end_s: number}|null}} TimelineMarks
 */

/** All observations, in order. */
function observationsOf(trace) {
  return [trace.first_grounding, ...trace.rounds.map(({ observation }) => observation)].filter(Boolean);
}

/**
 * @param {import("./api.js").Trace|null} trace
 * @param {{isRunning?: boolean, gold?: {start_s: number|null, end_s: number|null}|null}} [options]
 * @returns {TimelineMarks}
 */
export function timelineMarks(trace, { isRunning = false, gold = null } = {}) {
  const span = gold && gold.start_s !== null && gold.end_s !== null ? gold : null;
  if (!trace) return { visited: new Set(), current: null, evidence: [], frames_s: [], gold: span };
  const observations = observationsOf(trace);
  const groundings = observations.filter(({ kind }) => kind === "grounding");
  const clips = [...groundings.map(({ clip }) => clip), ...trace.rounds.map(({ clip }) => clip)];
  return {
    visited: new Set(clips.filter(Boolean)),
    current: isRunning ? (groundings.at(-1)?.clip ?? null) : null,
    // Until the answer lists its own, the steps list theirs.
    evidence: trace.outcome ? trace.evidence : observations.flatMap(({ evidence }) => evidence ?? []),
    frames_s: observations.flatMap(({ frame_times_s }) => frame_times_s),
    gold: span,
  };
}
