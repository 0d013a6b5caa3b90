/**
 * What a trajectory leaves on the timeline.
 *
 * @typedef {{visited: Set<string>, current: string|null, evidence: import("./api.js").Evidence[], frames_s: number[],
 *   gold: {start_s: number, end_s: number}|null}} Marks
 */

/** Everything that was observed, in order. */
function observations(trajectory) {
  const observed = [trajectory.first, ...trajectory.rounds.map((round) => round.observed)];
  return observed.filter((each) => each !== null && each !== undefined);
}

/**
 * @param {import("./api.js").Trajectory|null} trajectory
 * @param {{isRunning?: boolean, gold?: {start_s: number|null, end_s: number|null}|null}} [about]
 * @returns {Marks}
 */
export function marksOf(trajectory, { isRunning = false, gold = null } = {}) {
  const span = gold && gold.start_s !== null && gold.end_s !== null ? gold : null;
  if (!trajectory) return { visited: new Set(), current: null, evidence: [], frames_s: [], gold: span };
  const observed = observations(trajectory);
  const grounded = observed.filter((each) => each.kind === "grounding");
  const clips = [...grounded.map((each) => each.clip), ...trajectory.rounds.map((round) => round.clip)];
  const found = trajectory.evidence.length ? trajectory.evidence : observed.flatMap((each) => each.evidence ?? []);
  return {
    visited: new Set(clips.filter(Boolean)),
    current: isRunning ? (grounded.at(-1)?.clip ?? null) : null,
    evidence: found,
    frames_s: observed.flatMap((each) => each.frames_s ?? []),
    gold: span,
  };
}
