/** Keeps lists fresh that others change too, while somebody looks at the page. */

import { RequestFailure } from "./api.js";

/** Do it; where the server does not answer nothing is told: whatever the page does next tells it, a list need not. */
export async function quietly(work) {
  try {
    await work();
  } catch (failure) {
    if (!(failure instanceof RequestFailure)) throw failure;
  }
}

/** Do it again and again, each time so long after the last has ended; not while the page is out of sight. */
export function repeat(work, every_ms) {
  const again = async () => {
    if (document.visibilityState === "visible") await quietly(work);
    setTimeout(again, every_ms);
  };
  setTimeout(again, every_ms);
}

/** Do it whenever people come back to the page. */
export function onReturn(work) {
  addEventListener("focus", () => quietly(work));
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") quietly(work);
  });
}
