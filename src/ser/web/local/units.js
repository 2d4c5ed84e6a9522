/** Seconds, samples, and the rounding of Python. */

/**
 * @param {number} value
 * @returns {number} the nearest whole number; of two as near, the even one
 */
function roundEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  return rest === 0.5 ? below + (below % 2 ? 1 : 0) : Math.round(value);
}

/**
 * @param {number} seconds
 * @param {number} rate Hz
 */
export function secondsToSamples(seconds, rate) {
  return roundEven(seconds * rate);
}

/**
 * @param {number} value
 * @param {number} [digits] after the decimal point; the records of `ser.inference.formats` have six
 */
export function rounded(value, digits = 6) {
  return Number(value.toFixed(digits));
}

/**
 * @param {number} first
 * @param {number} second
 * @returns {number} greatest common divisor of whole numbers
 */
export function commonDivisor(first, second) {
  return second ? commonDivisor(second, first % second) : first;
}
