/**
 * The rows of one run or of two runs compared: pure functions of what the server recorded.
 *
 * @typedef {{id: string, question: string, video: string, kind: string, outcome: string, correct: boolean|null,
 *   confidence: number|null, num_rounds: number, answer: string}} RunRow
 * @typedef {{id: string, question: string, video: string, kind: string, first: RunRow|null, second: RunRow|null}} Pair
 * @typedef {"correct"|"wrong"|"failed"|"unscored"|"missing"} Verdict
 */

/** Each question with its row in both runs. Without a second run `second` is null. */
export function pairRows(rows, secondRows = []) {
  /** @type {Map<string, Pair>} */
  const pairs = new Map();
  for (const row of rows) pairs.set(row.id, { ...common(row), first: row, second: null });
  for (const row of secondRows) {
    const pair = pairs.get(row.id);
    if (pair) pair.second = row;
    else pairs.set(row.id, { ...common(row), first: null, second: row });
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
  { value: "correct", label: "Correct", matches: ({ first }) => isCorrect(first) },
  { value: "wrong", label: "Wrong", matches: ({ first }) => verdictOf(first) === "wrong" },
  { value: "failed", label: "Failed", matches: ({ first }) => verdictOf(first) === "failed" },
];

/** The verdict filter of two runs. */
export const COMPARED_FILTERS = [
  { value: "all", label: "All", matches: () => true },
  {
    value: "differ",
    label: "Those that differ",
    matches: ({ first, second }) => verdictOf(first) !== verdictOf(second),
  },
  {
    value: "only-a",
    label: "Correct in A only",
    matches: ({ first, second }) => isCorrect(first) && !isCorrect(second),
  },
  {
    value: "only-b",
    label: "Correct in B only",
    matches: ({ first, second }) => !isCorrect(first) && isCorrect(second),
  },
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

function textOf({ id, question, video, first, second }) {
  return [id, question, video, first?.answer, second?.answer].join(" ").toLowerCase();
}
