/** What is said of one recording, in the shape of `ser.inference.formats.record`. */

import { rounded } from "./units.js";
import { stretches, weightedMean } from "./windows.js";

/** @typedef {import("../result.js").Answer} Answer */

const UNKNOWN = "unknown";

/**
 * @param {import("./screening.js").Recording} recording
 * @param {import("./screening.js").Scan} found
 * @param {import("./plan.js").Plan} plan
 * @param {{answers: number[][], speech: number[]}} cells
 * @param {import("./files.js").Facts} facts
 * @returns {Omit<Answer, "voice" | "attention">}
 */
export function recordOf({ name, rate, channels, length }, found, plan, { answers, speech }, facts) {
  const spoken = speech.flatMap((hops, cell) => (hops ? [cell] : []));
  const whole = answers.length === 1 ? answers[0] : meanOf(answers, speech);
  const seconds = plan.edges.map((edge) => edge / rate);
  /** @type {(first: number, last: number) => import("../result.js").Passage} */
  const passage = (first, last) => passageOf(seconds, answers, first, last, facts);
  const replies = answers.map((row, cell) => (speech[cell] ? answer(row, facts) : null));
  const hops = plan.speech.reduce((sum, count) => sum + count, 0);
  return {
    ...judgement(whole, facts),
    ...(spoken.length ? {} : { emotion: UNKNOWN }),
    seconds: rounded(length / rate),
    speech_seconds: rounded(Math.min(length / rate, (hops * found.hop) / rate)),
    sample_rate: rate,
    channels,
    container: name,
    warnings: found.warnings,
    segments: stretches(replies).map(([first, last]) => passage(first, last)),
    timeline: spoken.map((cell) => passage(cell, cell + 1)),
    reason: null,
    detail: null,
    model: { classes: facts.classes, licence: facts.licence, threshold: facts.threshold, weights: facts.weights },
  };
}

/**
 * @param {number[][]} rows
 * @param {number[]} weights of which one at least is not 0
 * @returns {number[]}
 */
function meanOf(rows, weights) {
  return /** @type {number[]} */ (weightedMean(rows, weights));
}

/**
 * @param {number[]} seconds edges of the cells
 * @param {number[][]} answers of the cells
 * @param {number} first cell
 * @param {number} last the first after the last cell
 * @param {import("./files.js").Facts} facts
 */
function passageOf(seconds, answers, first, last, facts) {
  const lengths = answers.slice(first, last).map((_, index) => seconds[first + index + 1] - seconds[first + index]);
  const mean = last - first === 1 ? answers[first] : meanOf(answers.slice(first, last), lengths);
  return { start: rounded(seconds[first]), end: rounded(seconds[last]), ...judgement(mean, facts) };
}

/**
 * @param {number[]} probabilities
 * @param {import("./files.js").Facts} facts
 */
function judgement(probabilities, facts) {
  const named = facts.classes.map((name, index) => [name, rounded(probabilities[index])]);
  return {
    emotion: answer(probabilities, facts),
    confidence: rounded(Math.max(...probabilities)),
    probabilities: Object.fromEntries(named),
  };
}

/**
 * @param {number[]} probabilities
 * @param {import("./files.js").Facts} facts
 */
function answer(probabilities, { classes, threshold }) {
  const most = Math.max(...probabilities);
  return most < (threshold ?? 0) ? UNKNOWN : classes[probabilities.indexOf(most)];
}
