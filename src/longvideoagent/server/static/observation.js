/** Facts of an observation: pure functions of the trace. */

/** The located clip with its span. @param {Extract<import("./api.js").Observation, {kind: "grounding"}>} grounding */
export function locatedClip({ clip, window }) {
  return window.find(({ label }) => label === clip) ?? { label: clip, start_s: 0, end_s: 0, subtitles: [] };
}

/**
 * The trace of a record; each observation also has the fields of its view.
 * @param {{trace: import("./api.js").Trace|null, view: {first_grounding: ?Object, rounds: (?Object)[]}|null}} record
 * @returns {import("./api.js").Trace|null}
 */
export function traceWithViews({ trace, view }) {
  if (!trace) return null;
  const withView = (observation, fields) => observation && { ...observation, ...fields };
  return {
    ...trace,
    first_grounding: withView(trace.first_grounding, view.first_grounding),
    rounds: trace.rounds.map((round, index) => ({
      ...round,
      observation: withView(round.observation, view.rounds[index]),
    })),
  };
}
