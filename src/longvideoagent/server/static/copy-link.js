/** A button that copies the link to what is shown. */

import { announce } from "./announce.js";
import { element } from "./dom.js";
import { absoluteUrl } from "./routes.js";

const SHOWN_MS = 2500;

/** @param {string} hash @param {boolean} [isSecond] the second of two compared runs has no ids */
export function copyLink(hash, isSecond = false) {
  const button = element("button", { id: isSecond ? null : "copy-link", type: "button" }, "Copy link");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(absoluteUrl(hash));
    } catch {
      // Browsers allow clipboard access on secure pages only: over plain HTTP show the link to copy by hand.
      const link = element("input", {
        type: "text",
        readonly: true,
        class: "link",
        "aria-label": "Link",
        value: absoluteUrl(hash),
      });
      button.replaceWith(link);
      link.select();
      return;
    }
    button.textContent = "Copied";
    announce("The link was copied.");
    setTimeout(() => {
      button.textContent = "Copy link";
    }, SHOWN_MS);
  });
  return button;
}
