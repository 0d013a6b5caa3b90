/** The server's table of the master's actions: name, label, icon, the agent that performs each, and what each is. */

import { readActions } from "./api.js";

/** @type {Map<string, import("./api.js").Action>} */
const actions = new Map();

/** Read the table. The other functions need it. */
export async function loadActions() {
  for (const action of await readActions()) actions.set(action.name, action);
}

/** The label of an action, by its name. */
export function actionLabel(name) {
  return actions.get(name)?.label ?? name;
}

/** The icon of an action, by its name. */
export function actionIcon(name) {
  return actions.get(name)?.icon ?? "●";
}

/** The agent that performs an action, or null if no agent does. */
export function agentOf(name) {
  return actions.get(name)?.agent ?? null;
}

/** Whether an action ends the loop. */
export function isFinal(name) {
  return actions.get(name)?.is_final ?? false;
}

/** Whether an action is an error of the master. */
export function isError(name) {
  return actions.get(name)?.is_error ?? false;
}

/** The icon of the action that an agent performs. */
export function agentIcon(agent) {
  return [...actions.values()].find((action) => action.agent === agent)?.icon ?? "●";
}
