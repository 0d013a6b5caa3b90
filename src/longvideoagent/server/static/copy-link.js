/** A button that copies the link to what is shown. */

import { element } from "./dom.js";
import { announce } from "./announce.js";
import { linkTo } from "./routes.js";

const SHOWN_MS = 2500;

/** @param {string} hash @param {boolean} [isSecond] the second of two side by side has no id */
export function copyLink(hash, isSecond = false) {
  const button = element("button", { id: isSecond ? null : "copy-link", type: "button" }, "Copy link");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(linkTo(hash));
    } catch {
      // Browsers lend the clipboard to secure pages only, so over plain HTTP the link is shown to be copied by hand.
      const link = element("input", {
        type: "text",
        readonly: true,
        class: "link",
        "aria-label": "Link",
        value: linkTo(hash),
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
