/**
 * The rows of one run, or of two side by side: pure functions of what the server recorded.
 *
 * @typedef {{id: string, question: string, video: string, kind: string, outcome: string, correct: boolean|null,
 *   confidence: number|null, num_rounds: number, answer: string}} RunRow
 * @typedef {{id: string, question: string, video: string, kind: string, one: RunRow|null, other: RunRow|null}} Pair
 * @typedef {"right"|"wrong"|"failed"|"unjudged"|"missing"} Verdict
 */

/** Each question with its row in either run. Without a second run `other` is null throughout. */
export function pairRows(rows, otherRows = []) {
  /** @type {Map<string, Pair>} */
  const pairs = new Map();
  for (const row of rows) pairs.set(row.id, { ...common(row), one: row, other: null });
  for (const row of otherRows) {
    const pair = pairs.get(row.id);
    if (pair) pair.other = row;
    else pairs.set(row.id, { ...common(row), one: null, other: row });
  }
  return [...pairs.values()];
}

function common({ id, question, video, kind }) {
  return { id, question, video, kind };
}

/** @param {RunRow|null} row @returns {Verdict} */
export function verdictOf(row) {
  if (!row) return "missing";
  if (row.outcome === "failed") return "failed";
  if (row.correct === null) return "unjudged";
  return row.correct ? "right" : "wrong";
}

const isRight = (row) => verdictOf(row) === "right";

/** What the verdict filter can be set to: its value, its words, and which pairs it keeps. */
export const VERDICT_FILTERS = [
  { value: "all", words: "All", keeps: () => true },
  { value: "right", words: "Right", keeps: ({ one }) => isRight(one) },
  { value: "wrong", words: "Wrong", keeps: ({ one }) => verdictOf(one) === "wrong" },
  { value: "failed", words: "Failed", keeps: ({ one }) => verdictOf(one) === "failed" },
];

export const COMPARED_FILTERS = [
  { value: "all", words: "All", keeps: () => true },
  { value: "differ", words: "Those that differ", keeps: ({ one, other }) => verdictOf(one) !== verdictOf(other) },
  { value: "only-a", words: "Right in A only", keeps: ({ one, other }) => isRight(one) && !isRight(other) },
  { value: "only-b", words: "Right in B only", keeps: ({ one, other }) => !isRight(one) && isRight(other) },
];

/**
 * @param {Pair[]} pairs
 * @param {{verdict: string, kind: string, text: string}} wanted
 */
export function keepWanted(pairs, { verdict, kind, text }) {
  const { keeps } = [...COMPARED_FILTERS, ...VERDICT_FILTERS].find(({ value }) => value === verdict);
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return pairs.filter(
    (pair) => keeps(pair) && (!kind || pair.kind === kind) && words.every((word) => textOf(pair).includes(word)),
  );
}

function textOf({ id, question, video, one, other }) {
  return [id, question, video, one?.answer, other?.answer].join(" ").toLowerCase();
}
