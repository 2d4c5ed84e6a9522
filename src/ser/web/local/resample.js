/**
 * Another sample rate, as soxr makes it at high quality: in one pass, or in several, each with the silence before the recording that it
 * would hear itself. What an earlier pass rings before the first sample is lost to the next one, so the passes cannot be put together.
 *
 * Each is a sinc under a Kaiser window (Kaiser and Schafer 1980), one set of weights for each position of an output sample between two
 * input samples. They agree with soxr to 3e-6 of full scale, and to 3e-5 at the first samples from 64 kHz on, where it halves the rate first.
 */

import { commonDivisor } from "./units.js";

/**
 * @typedef {object} Shape
 * @property {number} cutoff of the sinc, as a share of half the rate of which `reach` counts periods
 * @property {number} reach of the window to either side
 * @property {number} beta of the window
 *
 * @typedef {object} Pass
 * @property {number} up
 * @property {number} down the new rate is up / down of the old one
 * @property {number} scale of the periods of the shape: the old rate has 1 / scale of them
 * @property {Shape} shape
 *
 * @typedef {Pass & {reach: number, weights: (phase: number) => Float32Array}} Prepared `reach` in samples of the old rate. The weights are of
 *   the input samples around an output sample that stands phase / up behind one of them; that one is the last of the first half
 */

/** Of a pass that limits the band to that of the lower rate, of which its weights reach over so many periods. */
const LIMIT = { cutoff: 0.956872, periods: 192.5, beta: 13.04 };
/** That one bit more precision takes. */
const BIT = { periods: 9.91, beta: 0.6712 };
/** End of what passes unchanged, as a share of half the lower rate, and where the bands of a recording and of its images meet. */
const PASSED = 0.913744;
const MEETING = 0.974123;
/** Of a pass to any ratio, which leaves it to another to limit the band: few weights, and what of the room between the bands it takes. */
const FREE = { weights: 8.95069, share: 0.874213, beta: 14.0586 };
/** Of a pass that halves the rate; one sample further where there are more parts. */
const HALVE = { cutoff: 0.5, reach: 17, beta: 13 };
const FEW_PARTS = 3;
/** For the rates below 48 kHz of an Opus decoder, which leaves out the frequencies that do not fit and keeps all others. */
export const BRICK_WALL = { cutoff: 0.99, reach: 388, beta: 13.04 };
/** Terms of the ratio below which soxr needs one pass. */
const SIMPLE = 5;
/** Of the tabulated kernel in one period; between them a straight line is off by less than 1e-7. */
const STEPS = 4096;
/** Weights that are kept for one pass: 16 MiB. */
const MOST_KEPT = 1 << 22;

/** @type {{rate: number, target: number, shape?: Shape, passes: Prepared[]} | null} what was used last */
let latest = null;

/**
 * @param {Float32Array} waveform
 * @param {number} rate Hz
 * @param {number} target Hz
 * @param {Shape} [shape] of one pass, in periods of the lower rate; else the passes of soxr
 * @returns {Float32Array}
 */
export function resample(waveform, rate, target, shape) {
  if (rate === target) return waveform;
  if (latest?.rate !== rate || latest.target !== target || latest.shape !== shape) {
    const [up, down] = lowestTerms(target, rate);
    const passes = shape ? [{ up, down, scale: Math.min(1, up / down), shape }] : passesOf(target, rate);
    latest = { rate, target, shape, passes: passes.map(prepare) };
  }
  return run(waveform, latest.passes, Math.floor((waveform.length * target) / rate + 0.5));
}

/**
 * @param {Float32Array} waveform
 * @param {Prepared[]} passes
 * @param {number} length of the result
 * @returns {Float32Array}
 */
function run(waveform, passes, length) {
  if (!passes.length) return waveform;
  const { up, down, reach, weights } = passes[passes.length - 1];
  const last = Math.floor(((length - 1) * down) / up) + reach;
  const input = run(waveform, passes.slice(0, -1), last + 1);
  const padded = new Float32Array(last + reach + 1);
  padded.set(input.subarray(0, last + 1), reach);
  const output = new Float32Array(length);
  for (let index = 0; index < length; index++) {
    const position = index * down;
    const taps = weights(position % up);
    const first = Math.floor(position / up) + 1;
    let sum = 0;
    for (let tap = 0; tap < taps.length; tap++) sum += padded[first + tap] * taps[tap];
    output[index] = sum;
  }
  return output;
}

/**
 * @param {number} target Hz
 * @param {number} rate Hz
 * @returns {Pass[]} of soxr
 */
function passesOf(target, rate) {
  const halved = Math.max(0, Math.floor(Math.log2(rate / target)) - 1);
  const [up, down] = lowestTerms(target * 2 ** halved, rate);
  const simple = Math.max(up, down) < SIMPLE;
  const parts = (halved + 1) * (simple ? 1 : 2);
  const shape = { ...HALVE, reach: HALVE.reach + (parts > FEW_PARTS ? 1 : 0) };
  const halves = Array.from({ length: halved }, () => ({ up: 1, down: 2, scale: 1, shape }));
  if (simple) return [...halves, limit(up, down, Math.max(up, down), parts)];
  const ratio = down / up;
  if (ratio > 1.5 && ratio < 2) {
    return [...halves, free(...lowestTerms(2 * up, down), 3 / ratio, PASSED / ratio), limit(1, 2, 2, parts)];
  }
  const double = ratio < 2 ? 2 : 1;
  const times = ratio < 1 ? 2 : double * ratio; // of the lower rate, between the passes
  const last = free(...lowestTerms(up, down * double), 2 - MEETING / times, PASSED / times, ratio < 1);
  return [...halves, limit(double, 1, times, parts), last];
}

/**
 * @param {number} up
 * @param {number} down
 * @returns {[number, number]} their ratio
 */
function lowestTerms(up, down) {
  const divisor = commonDivisor(up, down);
  return [up / divisor, down / divisor];
}

/**
 * @param {number} up
 * @param {number} down
 * @param {number} times the lower rate, where it weighs
 * @param {number} parts into which soxr divides what may be wrong
 * @returns {Pass}
 */
function limit(up, down, times, parts) {
  const bits = Math.log2(parts);
  const step = up === 4 ? 8 : 4;
  const weights = step * Math.ceil(((LIMIT.periods + BIT.periods * bits) * times) / step) + 1;
  return { up, down, scale: up / times, shape: { cutoff: LIMIT.cutoff, reach: weights / 2 / times, beta: LIMIT.beta + BIT.beta * bits } };
}

/**
 * @param {number} up
 * @param {number} down
 * @param {number} stopped frequency from which nothing may pass, as a share of half the old rate
 * @param {number} passed frequency up to which all has to pass
 * @param {boolean} [odd] whether the number of weights may be odd
 * @returns {Pass}
 */
function free(up, down, stopped, passed, odd = false) {
  const width = Math.min((stopped - passed) / FREE.share, stopped) / 2;
  const some = Math.floor(FREE.weights / width) + 1;
  const weights = odd ? some : some + (some % 2);
  const phases = weights % 2 && up % 2 ? 2 * up : up;
  return { up, down, scale: 1, shape: { cutoff: stopped - width, reach: weights / 2 - 0.25 / phases, beta: FREE.beta } };
}

/**
 * @param {Pass} pass
 * @returns {Prepared}
 */
function prepare({ up, down, scale, shape }) {
  const kernel = kernelOf(shape);
  const reach = Math.ceil(shape.reach / scale);
  /** @param {number} phase */
  const compute = (phase) =>
    Float32Array.from({ length: 2 * reach }, (_, tap) => scale * at(kernel, Math.abs((tap - reach + 1 - phase / up) * scale) * STEPS));
  return { up, down, scale, shape, reach, weights: up * 2 * reach <= MOST_KEPT ? remember(compute) : compute };
}

/**
 * @template T
 * @param {(key: number) => T} compute
 * @returns {(key: number) => T}
 */
function remember(compute) {
  /** @type {T[]} */
  const known = [];
  return (key) => {
    known[key] ??= compute(key);
    return known[key];
  };
}

/**
 * @param {Float64Array} table
 * @param {number} position
 * @returns {number} on the line between two entries; 0 behind the last
 */
function at(table, position) {
  const index = Math.floor(position);
  if (index + 1 >= table.length) return 0;
  return table[index] + (table[index + 1] - table[index]) * (position - index);
}

/**
 * @param {Shape} shape
 * @returns {Float64Array} one half of the kernel
 */
function kernelOf({ cutoff, reach, beta }) {
  const whole = bessel(beta);
  return Float64Array.from({ length: Math.floor(reach * STEPS) + 1 }, (_, index) => {
    const time = index / STEPS;
    const angle = Math.PI * cutoff * time;
    return (cutoff * (angle ? Math.sin(angle) / angle : 1) * bessel(beta * Math.sqrt(1 - (time / reach) ** 2))) / whole;
  });
}

/**
 * Modified Bessel function of the first kind and order 0, by its power series (Abramowitz and Stegun 9.6.12).
 * @param {number} value
 */
function bessel(value) {
  let term = 1;
  let sum = 1;
  for (let index = 1; term > 1e-12 * sum; index++) {
    term *= (value / (2 * index)) ** 2;
    sum += term;
  }
  return sum;
}
