/** The probabilities as a table with bars: of the whole recording, and of one moment of it. */

import { make } from "./dom.js";
import { percent } from "./words.js";

/**
 * @param {Record<string, number>} probabilities in the model's order
 * @param {string} emotion the answer
 * @param {number | null} threshold of the model, shown as a line
 * @param {boolean} moments whether a second column for the chosen moment is of use
 * @returns {{element: HTMLTableElement, choose: (cell: {probabilities: Record<string, number>} | undefined) => void}}
 */
export function barTable(probabilities, emotion, threshold, moments) {
  const rows = Object.entries(probabilities).map(([name, share]) => row(name, share, name === emotion, moments));
  const head = make("tr", {}, column("emotion", "name"), column("", "bar"), column(moments ? "whole" : "probability"));
  if (moments) {
    head.append(column("here", "number here"));
    head.lastChild.prepend(make("span", { className: "swatch" }));
  }
  head.children[1].setAttribute("aria-hidden", "true");
  const line = make(
    "span",
    { className: "soft" },
    threshold === null ? "" : `from the line at ${percent(threshold)} on, the model answers`,
  );
  const caption = make("caption", {}, "Probability of each emotion ", line);
  const body = make("tbody", {}, ...rows.map(({ element }) => element));
  const element = make("table", { className: "bars" }, caption, make("thead", {}, head), body);
  if (threshold !== null) element.style.setProperty("--least", `${100 * threshold}%`);
  return { element, choose: (cell) => rows.forEach((each) => each.choose(cell)) };
}

/**
 * @param {string} text
 * @param {string} [className]
 */
function column(text, className = "number") {
  return make("th", { scope: "col", className }, text);
}

/**
 * @param {string} name of an emotion
 * @param {number} share of 1
 * @param {boolean} isAnswer
 * @param {boolean} moments as of `barTable`
 * @returns {{element: HTMLTableRowElement, choose: (cell: {probabilities: Record<string, number>} | undefined) => void}}
 */
function row(name, share, isAnswer, moments) {
  const label = make("th", { scope: "row", className: "name" }, make("span", { className: "swatch", data: { emotion: name } }), name);
  const whole = make("div", { className: "whole" });
  const here = make("div", { className: "moment" });
  whole.style.width = `${100 * share}%`;
  const bar = make("td", { className: "bar", data: { emotion: name } }, whole);
  bar.setAttribute("aria-hidden", "true");
  const element = make("tr", { className: isAnswer ? "answer" : "" }, label, bar, make("td", { className: "number" }, percent(share)));
  if (!moments) return { element, choose: () => {} };
  const number = make("td", { className: "number here" }, "–");
  bar.append(here);
  element.append(number);
  /** @param {{probabilities: Record<string, number>} | undefined} cell */
  const choose = (cell) => {
    const now = cell?.probabilities[name];
    here.style.width = `${100 * (now ?? 0)}%`;
    number.textContent = now === undefined ? "–" : percent(now);
  };
  return { element, choose };
}
