/**
 * The marks of a trajectory on the timeline.
 *
 * @typedef {{visited: Set<string>, current: string|null, evidence: import("./api.js").Evidence[], frames_s: number[],
 *   gold: {start_s: number, end_s: number}|null}} TimelineMarks
 */

/** All observations, in order. */
function observations(trajectory) {
  const observed = [trajectory.first, ...trajectory.rounds.map((round) => round.observed)];
  return observed.filter((each) => each !== null && each !== undefined);
}

/**
 * @param {import("./api.js").Trajectory|null} trajectory
 * @param {{isRunning?: boolean, gold?: {start_s: number|null, end_s: number|null}|null}} [about]
 * @returns {TimelineMarks}
 */
export function timelineMarks(trajectory, { isRunning = false, gold = null } = {}) {
  const span = gold && gold.start_s !== null && gold.end_s !== null ? gold : null;
  if (!trajectory) return { visited: new Set(), current: null, evidence: [], frames_s: [], gold: span };
  const observed = observations(trajectory);
  const groundings = observed.filter((each) => each.kind === "grounding");
  const clips = [...groundings.map((each) => each.clip), ...trajectory.rounds.map((round) => round.clip)];
  const evidence = trajectory.evidence.length ? trajectory.evidence : observed.flatMap((each) => each.evidence ?? []);
  return {
    visited: new Set(clips.filter(Boolean)),
    current: isRunning ? (groundings.at(-1)?.clip ?? null) : null,
    evidence: evidence,
    frames_s: observed.flatMap((each) => each.frames_s ?? []),
    gold: span,
  };
}
