/** Overlapping windows over a long recording, and one smoothed answer for each stretch of time: `ser.inference.windows`. All lengths are samples. */

/**
 * @param {number} length
 * @param {number} window
 * @param {number} hop
 * @returns {number[]} where windows begin: every hop, and the last one so that it ends with the recording
 */
export function windowStarts(length, window, hop) {
  if (length <= window) return [0];
  const starts = Array.from({ length: Math.floor((length - window) / hop) + 1 }, (_, index) => index * hop);
  return starts.at(-1) === length - window ? starts : [...starts, length - window];
}

/**
 * @param {number} length
 * @param {number} hop
 * @returns {number[]} where cells begin and end; the last may be shorter than a hop
 */
export function cellEdges(length, hop) {
  return [...Array.from({ length: Math.ceil(length / hop) }, (_, index) => index * hop), length];
}

/**
 * The mean over all windows that reach over a cell's centre, each weighted by how near that lies to the window's own.
 * @param {number[][]} answers (windows, classes)
 * @param {number[]} starts of the windows
 * @param {number} window
 * @param {number[]} edges of the cells
 * @returns {(number[] | null)[]} (cells, classes); null where no window is
 */
export function smooth(answers, starts, window, edges) {
  return edges.slice(1).map((end, cell) => {
    const centre = (edges[cell] + end) / 2;
    const near = starts.map((start) => Math.max(0, 1 - Math.abs(centre - start - window / 2) / (window / 2)));
    return weightedMean(answers, near);
  });
}

/**
 * @param {number[][]} rows
 * @param {number[]} weights
 * @returns {number[] | null} null: no row has weight
 */
export function weightedMean(rows, weights) {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (!total) return null;
  const mean = rows[0].map(() => 0);
  rows.forEach((row, index) => weights[index] && row.forEach((value, at) => (mean[at] += (weights[index] * value) / total)));
  return mean;
}

/**
 * @param {(string | null)[]} answers
 * @returns {[number, number][]} neighbouring cells with the same answer, as first and after the last; those without one are left out
 */
export function stretches(answers) {
  /** @type {[number, number][]} */
  const found = [];
  answers.forEach((answer, cell) => {
    if (answer === null) return;
    if (cell && answers[cell - 1] === answer) found[found.length - 1][1] = cell + 1;
    else found.push([cell, cell + 1]);
  });
  return found;
}
