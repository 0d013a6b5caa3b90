/** Numbers and codes as people read them. */

/** Seconds as m:ss or h:mm:ss. Hundredths are rounded first: what a float leaves short of 6:00 is 6:00. */
export function clock(time_s) {
  const whole_s = Math.max(0, Math.floor(Math.round(time_s * 100) / 100));
  const seconds = String(whole_s % 60).padStart(2, "0");
  const minutes = Math.floor(whole_s / 60) % 60;
  const hours = Math.floor(whole_s / 3600);
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${seconds}` : `${minutes}:${seconds}`;
}

/** The span from one time to another. */
export function span(start_s, end_s) {
  return `${clock(start_s)} to ${clock(end_s)}`;
}

/** Bytes in the largest unit that leaves at least one whole. */
export function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let power = 0;
  let count = bytes;
  while (count >= 1000 && power < units.length - 1) {
    count /= 1000;
    power += 1;
  }
  return `${power && count < 10 ? count.toFixed(1) : Math.round(count)} ${units[power]}`;
}

/** A count with its noun, in the plural where it is not one. */
export function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

/** A share of one, as a whole number of per cent. */
export function percent(share) {
  return `${Math.round(share * 100)}\u00a0%`;
}

/** How long something took. */
export function took(seconds) {
  return seconds < 60 ? `${seconds.toFixed(1)} s` : clock(seconds);
}

/** When it was asked, short: the time for today, else the day as well. */
export function moment(iso) {
  const asked = new Date(iso);
  const isToday = asked.toDateString() === new Date().toDateString();
  const time = asked.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return isToday ? time : `${asked.toLocaleDateString([], { day: "numeric", month: "short" })}, ${time}`;
}

/** How options are called: a0, a1, … as the agents call them. */
export function optionName(index) {
  return `a${index}`;
}

const OUTCOMES = {
  answered: "answered",
  abstained: "abstained: it found too little to answer",
  spent: "spent: the rounds or a budget were used up",
  failed: "failed: an agent was down",
};

/** An outcome with what it means. */
export function outcomeInWords(outcome) {
  return OUTCOMES[outcome] ?? outcome;
}

const ACTIONS = { look: "looks", relocate: "looks elsewhere", answer: "answers", invalid: "gives no valid action" };

/** What the master does in a round. */
export function actionInWords(action) {
  return ACTIONS[action] ?? action;
}
