/** Elements of the page, found and made. */

/**
 * @param {string} selector
 * @returns {any} the one element
 */
export function find(selector) {
  return document.querySelector(selector);
}

/**
 * @param {string} tag
 * @param {Record<string, any>} [properties] of the element; `data` goes into its dataset, and role and aria-* are attributes
 * @param {...(Node | string)} children
 * @returns {any}
 */
export function make(tag, properties = {}, ...children) {
  const element = /** @type {HTMLElement & Record<string, any>} */ (document.createElement(tag));
  for (const [name, value] of Object.entries(properties)) {
    if (name === "data") Object.assign(element.dataset, value);
    else if (name === "role" || name.startsWith("aria-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/**
 * A sentence in which `words` are code.
 * @param {string} text
 * @returns {(Node | string)[]}
 */
export function withCode(text) {
  return text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));
}

/**
 * @param {Blob} blob
 * @param {string} name of the file
 */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
