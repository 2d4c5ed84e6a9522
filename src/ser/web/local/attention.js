/** The attention of a model over a whole recording: the weights of all windows as one curve, like `ser.inference.attention`. */

import { rounded } from "./units.js";

/** Hz: cells of 50 ms, about a phone. */
const MOST_RATE = 20;
/** Of a curve: beyond 40 minutes the cells grow. */
const MOST_CELLS = 50_000;
/** Seconds of a cell: less is rounding. */
const LEAST_HEARD = 1e-6;

/**
 * @typedef {object} Window
 * @property {Record<string, Float32Array>} attention weights of the model's steps
 * @property {number} start seconds from the start of the recording to the first step
 * @property {[number, number]} reach where the window begins and ends, in seconds of the recording
 */

/**
 * @param {Window[]} heard
 * @param {number} seconds of the recording
 * @param {Record<string, number>} rates of the model's steps, Hz
 * @returns {Record<string, {rate: number, weights: number[]}>} cell k reaches from k / rate to (k + 1) / rate seconds; 1 is as much as the
 *   mean over all cells that were used, 0 is not used
 */
export function curves(heard, seconds, rates) {
  return Object.fromEntries(Object.entries(rates).map(([name, rate]) => [name, curve(heard, name, seconds, rate)]));
}

/**
 * @param {Window[]} windows
 * @param {string} name
 * @param {number} seconds
 * @param {number} stepRate Hz
 */
function curve(windows, name, seconds, stepRate) {
  const rate = Math.min(MOST_RATE, stepRate, MOST_CELLS / seconds);
  const cells = Math.max(1, Math.ceil(rounded(seconds * rate)));
  const [listened, heard] = [new Float64Array(cells), new Float64Array(cells)];
  for (const { attention, start, reach } of windows) add(listened, heard, rate, integral(attention[name], start, stepRate), reach);
  const values = listened.map((sum, cell) => (heard[cell] > LEAST_HEARD ? sum / heard[cell] : 0));
  const count = heard.filter((time) => time > LEAST_HEARD).length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  return { rate: rounded(rate), weights: Array.from(values, (value) => rounded(mean > 0 ? value / mean : value, 3)) };
}

/**
 * Adds one window to the sums, each cell weighted by how near it is to the window's centre.
 * @param {Float64Array} listened
 * @param {Float64Array} heard
 * @param {number} rate Hz, of the cells
 * @param {{start: number, end: number, until: (time: number) => number}} weights
 * @param {[number, number]} reach
 */
function add(listened, heard, rate, { start, end, until }, [from, to]) {
  /** @type {(time: number, low: number, high: number) => number} */
  const clamp = (time, low, high) => Math.min(Math.max(time, low), high);
  for (let cell = Math.floor(from * rate); cell < Math.min(heard.length, Math.ceil(to * rate)); cell++) {
    const [left, right] = [clamp(cell / rate, from, to), clamp((cell + 1) / rate, from, to)];
    const near = 1 - Math.abs(left + right - from - to) / (to - from);
    listened[cell] += near * (until(right) - until(left));
    heard[cell] += near * (clamp(right, start, end) - clamp(left, start, end));
  }
}

/**
 * @param {Float32Array} weights of steps
 * @param {number} start seconds, of the first step
 * @param {number} rate Hz, of the steps
 * @returns {{start: number, end: number, until: (time: number) => number}} the integral of the weights, of which the mean counts 1, up to
 *   some time
 */
function integral(weights, start, rate) {
  const length = weights.length / rate;
  const sums = new Float64Array(weights.length + 1);
  weights.forEach((weight, step) => (sums[step + 1] = sums[step] + weight));
  /** @param {number} time */
  const until = (time) => {
    const position = Math.min(Math.max((time - start) * rate, 0), weights.length);
    const step = Math.min(Math.floor(position), weights.length - 1);
    return length * (sums[step] + (sums[step + 1] - sums[step]) * (position - step));
  };
  return { start, end: start + length, until };
}
