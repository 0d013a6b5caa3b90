/**
 * The rows of one run or of two runs compared: pure functions of what the server recorded.
 *
 * @typedef {{id: string, question: string, video: string, kind: string, outcome: string, correct: boolean|null,
 *   confidence: number|null, num_rounds: number, answer: string}} RunRow
 * @typedef {{id: string, question: string, video: string, kind: string, one: RunRow|null, other: RunRow|null}} Pair
 * @typedef {"correct"|"wrong"|"failed"|"unscored"|"missing"} Verdict
 */

/** Each question with its row in both runs. Without a second run `other` is null. */
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
  if (row.correct === null) return "unscored";
  return row.correct ? "correct" : "wrong";
}

const isCorrect = (row) => verdictOf(row) === "correct";

/** The verdict filter of one run: value, label and which pairs match. */
export const VERDICT_FILTERS = [
  { value: "all", label: "All", matches: () => true },
  { value: "correct", label: "Correct", matches: ({ one }) => isCorrect(one) },
  { value: "wrong", label: "Wrong", matches: ({ one }) => verdictOf(one) === "wrong" },
  { value: "failed", label: "Failed", matches: ({ one }) => verdictOf(one) === "failed" },
];

/** The verdict filter of two runs. */
export const COMPARED_FILTERS = [
  { value: "all", label: "All", matches: () => true },
  { value: "differ", label: "Those that differ", matches: ({ one, other }) => verdictOf(one) !== verdictOf(other) },
  { value: "only-a", label: "Correct in A only", matches: ({ one, other }) => isCorrect(one) && !isCorrect(other) },
  { value: "only-b", label: "Correct in B only", matches: ({ one, other }) => !isCorrect(one) && isCorrect(other) },
];

/**
 * @param {Pair[]} pairs
 * @param {{verdict: string, kind: string, text: string}} filter
 */
export function filterPairs(pairs, { verdict, kind, text }) {
  const { matches } = [...COMPARED_FILTERS, ...VERDICT_FILTERS].find(({ value }) => value === verdict);
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return pairs.filter(
    (pair) => matches(pair) && (!kind || pair.kind === kind) && words.every((word) => textOf(pair).includes(word)),
  );
}

function textOf({ id, question, video, one, other }) {
  return [id, question, video, one?.answer, other?.answer].join(" ").toLowerCase();
}
