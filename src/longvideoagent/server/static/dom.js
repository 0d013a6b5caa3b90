/**
 * How this page creates elements.
 *
 * Text from videos, files, people and models only ever becomes a text node: nothing here reads HTML.
 */

/**
 * @param {string} tag
 * @param {Object<string, any>} [attributes] functions are event listeners; true sets, false and null omit
 * @param {...(Node|string|null)} children
 * @returns {HTMLElement}
 */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** An element for text in any language; the text decides its direction. */
export function textElement(tag, className, text) {
  return element(tag, { class: className || null, dir: "auto" }, text);
}

/** The element with this id, which index.html contains. */
export function byId(id) {
  return document.getElementById(id);
}

/** Show or hide an element, also for screen readers. */
export function setVisible(target, isVisible) {
  target.hidden = !isVisible;
}

/** Scroll an element into view; by default only if it is not in view. The start of one that does not fit is shown. */
export function scrollToElement(target, block = "nearest") {
  const padding_px = parseFloat(getComputedStyle(document.documentElement).scrollPaddingTop) || 0;
  if (target.getBoundingClientRect().height > innerHeight - padding_px) block = "start";
  const isReducedMotion = matchMedia("(prefers-reduced-motion: reduce)").matches;
  target.scrollIntoView({ block, behavior: isReducedMotion ? "auto" : "smooth" });
}

/** What each slot was last rendered from. @type {WeakMap<HTMLElement, string>} */
const lastSources = new WeakMap();

/** Render a slot only if `source` has changed, so that open details and the focus in it stay. */
export function renderIfChanged(slot, source, build) {
  const key = JSON.stringify(source);
  if (lastSources.get(slot) === key) return;
  lastSources.set(slot, key);
  slot.replaceChildren(...build());
}
