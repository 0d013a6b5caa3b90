/** The marks of a trajectory on the timeline. */

/**
 * @typedef {{visited: Set<string>, current: string|null, evidence: import("./api.js").Evidence[], frames_s: number[],
 *   gold: {start_s: number, end_s: number}|null}} TimelineMarks
 */

/** All observations, in order. */
function observationsOf(trajectory) {
  return [trajectory.first_grounding, ...trajectory.rounds.map(({ observation }) => observation)].filter(Boolean);
}

/**
 * @param {import("./api.js").Trajectory|null} trajectory
 * @param {{isRunning?: boolean, gold?: {start_s: number|null, end_s: number|null}|null}} [options]
 * @returns {TimelineMarks}
 */
export function timelineMarks(trajectory, { isRunning = false, gold = null } = {}) {
  const span = gold && gold.start_s !== null && gold.end_s !== null ? gold : null;
  if (!trajectory) return { visited: new Set(), current: null, evidence: [], frames_s: [], gold: span };
  const observations = observationsOf(trajectory);
  const groundings = observations.filter(({ kind }) => kind === "grounding");
  const clips = [...groundings.map(({ clip }) => clip), ...trajectory.rounds.map(({ clip }) => clip)];
  const hasEvidence = trajectory.outcome && trajectory.evidence.length;
  return {
    visited: new Set(clips.filter(Boolean)),
    current: isRunning ? (groundings.at(-1)?.clip ?? null) : null,
    evidence: hasEvidence ? trajectory.evidence : observations.flatMap(({ evidence }) => evidence ?? []),
    frames_s: observations.flatMap(({ frame_times_s }) => frame_times_s),
    gold: span,
  };
}
