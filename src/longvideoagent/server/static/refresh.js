/** Refreshes lists that others change too, while the page is visible. */

import { RequestError } from "./api.js";

/** Run `work` and ignore failed requests: a list that cannot be refreshed is not worth an error message. */
export async function ignoreRequestErrors(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
  }
}

/** Run `work` again `every_ms` after its last end, but not while the page is hidden. */
export function poll(work, every_ms) {
  const tick = async () => {
    if (document.visibilityState === "visible") await ignoreRequestErrors(work);
    setTimeout(tick, every_ms);
  };
  setTimeout(tick, every_ms);
}

/** Run `work` whenever the page becomes visible or gets the focus. */
export function onPageVisible(work) {
  addEventListener("focus", () => ignoreRequestErrors(work));
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") ignoreRequestErrors(work);
  });
}
