/** Numbers and codes as text. */

/** Seconds as m:ss or h:mm:ss. Rounded to hundredths first, so that 359.999 s is 6:00; as core/timefmt.py. */
export function formatTimestamp(time_s) {
  const whole_s = Math.max(0, Math.floor(Math.round(time_s * 100) / 100));
  const seconds = String(whole_s % 60).padStart(2, "0");
  const minutes = Math.floor(whole_s / 60) % 60;
  const hours = Math.floor(whole_s / 3600);
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${seconds}` : `${minutes}:${seconds}`;
}

/** A time span. */
export function formatSpan(start_s, end_s) {
  return `${formatTimestamp(start_s)} to ${formatTimestamp(end_s)}`;
}

/** Bytes in the largest unit of which there is at least one. */
export function formatBytes(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let power = 0;
  let count = bytes;
  while (count >= 1000 && power < units.length - 1) {
    count /= 1000;
    power += 1;
  }
  return `${power && count < 10 ? count.toFixed(1) : Math.round(count)} ${units[power]}`;
}

/** A count with its noun, in the plural unless it is 1. */
export function pluralize(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

/** A fraction of 1 as a whole percentage. */
export function formatPercent(fraction) {
  return `${Math.round(fraction * 100)}\u00a0%`;
}

/** A duration in seconds; from a minute on as m:ss. */
export function formatDuration(seconds) {
  return seconds < 60 ? `${seconds.toFixed(1)} s` : formatTimestamp(seconds);
}

/** A date, short: only the time if it is today. */
export function formatDate(iso) {
  const date = new Date(iso);
  const isToday = date.toDateString() === new Date().toDateString();
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return isToday ? time : `${date.toLocaleDateString([], { day: "numeric", month: "short" })}, ${time}`;
}

/** The label of an option: a0, a1, … as in the prompts. */
export function optionLabel(index) {
  return `a${index}`;
}

const OUTCOMES = {
  answered: "answered",
  abstained: "abstained: too little evidence for an answer",
  spent: "spent: the rounds or a budget were used up",
  failed: "failed: an agent was not available",
};

/** An outcome with its meaning. */
export function outcomeText(outcome) {
  return OUTCOMES[outcome] ?? outcome;
}
