/** Questions to the person at the page: a new name, or whether something may be deleted. */

import { element, textElement } from "./dom.js";

/**
 * Ask for a text. @param {string} title @param {string} value the text so far
 * @returns {Promise<string|null>} null if it was cancelled
 */
export async function askText(title, value) {
  const input = element("input", { type: "text", dir: "auto", "aria-label": title, maxlength: 500 });
  input.value = value;
  const isOk = await showDialog(title, [input], "Rename", () => input.select());
  return isOk ? input.value.trim() : null;
}

/** Ask whether something may be deleted. @returns {Promise<boolean>} */
export function confirmDelete(title, text) {
  return showDialog(title, [textElement("p", "", text)], "Delete");
}

/** @returns {Promise<boolean>} whether the button with `label` closed the dialog */
function showDialog(title, nodes, label, onShown = () => {}) {
  const form = element(
    "form",
    { method: "dialog" },
    textElement("h2", "", title),
    ...nodes,
    element(
      "div",
      { class: "actions" },
      element("button", { class: "primary", value: "ok" }, label),
      element("button", { value: "cancel", type: "button", onclick: () => dialog.close("cancel") }, "Cancel"),
    ),
  );
  const dialog = element("dialog", { "aria-label": title }, form);
  document.body.append(dialog);
  dialog.showModal();
  onShown();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "ok");
    });
  });
}
