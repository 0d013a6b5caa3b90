/**
 * The one way in which this page makes elements.
 *
 * Text from videos, files, people and models only ever becomes a text node: nothing here reads HTML.
 */

/**
 * @param {string} tag
 * @param {Object<string, any>} [attributes] `onclick` and the like are listened to; true, false, null set or leave out
 * @param {...(Node|string|null)} children
 * @returns {HTMLElement}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** An element for text in whatever language: its direction follows from the text itself. */
export function prose(tag, className, text) {
  return element(tag, { class: className || null, dir: "auto" }, text);
}

/** The element with this id, which index.html is known to hold. */
export function byId(id) {
  return document.getElementById(id);
}

/** Show it where `isShown`, else hide it, also from a screen reader. */
export function show(shown, isShown) {
  shown.hidden = !isShown;
}

/** Bring it into sight without moving the page where it is in sight already. */
export function bringIntoSight(target, block = "nearest") {
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  target.scrollIntoView({ block, behavior: isCalm ? "auto" : "smooth" });
}

/** What each slot was last filled from. @type {WeakMap<HTMLElement, string>} */
const filledFrom = new WeakMap();

/** Fill it anew only where `source` differs from last time: opened folds and focused buttons in it stay. */
export function fillFrom(slot, source, make) {
  const wanted = JSON.stringify(source);
  if (filledFrom.get(slot) === wanted) return;
  filledFrom.set(slot, wanted);
  slot.replaceChildren(...make());
}
