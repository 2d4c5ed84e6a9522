/** From seconds to columns of pixels, each drawn once, however long the recording is. Pure functions. */

/**
 * The highest value that falls into each column.
 * @param {ArrayLike<number>} values of equal stretches of time from 0 to `end`
 * @param {number} end column after the last value; may be a fraction, or beyond `width`
 * @param {number} width columns
 * @returns {Float32Array} (width,) 0 where there is nothing
 */
export function highest(values, end, width) {
  const found = new Float32Array(width);
  const step = end / values.length;
  for (let index = 0; index < values.length; index++) {
    const last = Math.min(width, Math.max(Math.floor(index * step) + 1, Math.ceil((index + 1) * step)));
    for (let column = Math.floor(index * step); column < last; column++) found[column] = Math.max(found[column], values[index]);
  }
  return found;
}

/**
 * How high stretches of time reach in each column.
 * @param {{start: number, end: number}[]} passages seconds
 * @param {(passage: any) => number} value
 * @param {number} seconds of all columns together
 * @param {number} width columns
 * @returns {Float32Array} (width,) 0 where no passage is; one narrower than a column still takes one
 */
export function reached(passages, value, seconds, width) {
  const found = new Float32Array(width);
  for (const passage of passages) {
    const height = value(passage);
    const first = Math.min(width - 1, Math.round((passage.start / seconds) * width));
    const last = Math.min(width, Math.max(first + 1, Math.round((passage.end / seconds) * width)));
    for (let column = first; column < last; column++) found[column] = Math.max(found[column], height);
  }
  return found;
}

/**
 * @param {{start: number, end: number}[]} passages in order, without overlap
 * @param {number} time seconds
 * @returns {any} the one that holds this moment; undefined in between
 */
export function passageAt(passages, time) {
  let first = 0;
  let last = passages.length;
  while (first < last) {
    const middle = (first + last) >> 1;
    if (passages[middle].end <= time) first = middle + 1;
    else last = middle;
  }
  const found = passages[first] ?? passages.at(-1);
  return found && found.start <= time && time <= found.end ? found : undefined;
}

/**
 * Where an axis is labelled: at most `most` times, at round numbers.
 * @param {number} seconds
 * @param {number} most
 * @returns {number[]} seconds
 */
export function ticks(seconds, most) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
  const step = steps.find((each) => seconds / each <= most) ?? 28800;
  return Array.from({ length: Math.floor(seconds / step + 1e-9) + 1 }, (_, index) => index * step);
}
