/** Lanes of the chart on canvases. Each fits itself to its element and takes its colours from the style sheet. */

import { highest, reached } from "./columns.js";

/**
 * @param {HTMLCanvasElement} canvas
 * @returns {{pen: CanvasRenderingContext2D, width: number, height: number, colour: (name: string) => string}} in device pixels, cleared
 */
export function fit(canvas) {
  const scale = window.devicePixelRatio || 1;
  const width = Math.max(1, Math.round(canvas.clientWidth * scale));
  const height = Math.max(1, Math.round(canvas.clientHeight * scale));
  Object.assign(canvas, { width, height });
  const style = getComputedStyle(canvas);
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")); // null only where it has another context
  return { pen, width, height, colour: (name) => style.getPropertyValue(`--${name}`) };
}

/**
 * Sound from the middle line up and down; paler where no answer was given.
 * @param {HTMLCanvasElement} canvas
 * @param {import("./waveform.js").Peaks} peaks
 * @param {{seconds: number, timeline: {start: number, end: number}[]}} record
 */
export function drawWaveform(canvas, peaks, record) {
  const { pen, width, height, colour } = fit(canvas);
  const end = (peaks.seconds / record.seconds) * width;
  const up = highest(peaks.high, end, width);
  const down = highest(
    peaks.low.map((value) => -value),
    end,
    width,
  );
  const loudest = Math.max(1e-3, ...up, ...down);
  const spoken = reached(record.timeline, () => 1, record.seconds, width);
  const inks = [colour("wave-pale"), colour("wave")];
  for (let column = 0; column < width; column++) {
    pen.fillStyle = inks[spoken[column]];
    const top = (height / 2) * (1 - up[column] / loudest);
    pen.fillRect(column, top, 1, Math.max(1, (height / 2) * (1 + down[column] / loudest) - top));
  }
}

/**
 * How probable one emotion is when: filled where it is the answer, elsewhere pale below an edge.
 * @param {HTMLCanvasElement} canvas
 * @param {string} emotion
 * @param {{seconds: number, timeline: {start: number, end: number, emotion: string, confidence: number,
 *   probabilities: Record<string, number>}[]}} record
 */
export function drawEmotion(canvas, emotion, record) {
  const { pen, width, height, colour } = fit(canvas);
  const ink = colour("emotion");
  const likely = reached(record.timeline, (cell) => cell.probabilities[emotion] ?? 0, record.seconds, width);
  const answers = record.timeline.filter((cell) => cell.emotion === emotion);
  const answered = reached(answers, (cell) => cell.confidence, record.seconds, width);
  bars(pen, likely, height, ink, { opacity: 0.28 });
  bars(pen, likely, height, ink, { edge: Math.round(1.5 * (window.devicePixelRatio || 1)) });
  bars(pen, answered, height, ink);
}

/**
 * How much each moment weighed; a dashed line at the average.
 * @param {HTMLCanvasElement} canvas
 * @param {{rate: number, weights: number[]}} attention
 * @param {number} seconds of the recording
 * @param {number} most weight, at the top of the lane
 */
export function drawAttention(canvas, attention, seconds, most) {
  const { pen, width, height, colour } = fit(canvas);
  const end = (attention.weights.length / attention.rate / seconds) * width;
  const heights = highest(attention.weights, end, width);
  bars(
    pen,
    heights.map((value) => value / most),
    height,
    colour("attention"),
    { opacity: 0.85 },
  );
  pen.strokeStyle = colour("ink");
  pen.lineWidth = Math.max(1, window.devicePixelRatio);
  pen.setLineDash([4 * pen.lineWidth, 4 * pen.lineWidth]);
  const average = Math.round(height * (1 - Math.min(1, 1 / most))) + 0.5;
  pen.beginPath();
  pen.moveTo(0, average);
  pen.lineTo(width, average);
  pen.stroke();
}

/**
 * Columns of equal height in one stroke.
 * @param {CanvasRenderingContext2D} pen
 * @param {Float32Array} heights (width,) from 0 to 1
 * @param {number} height pixels of 1
 * @param {string} ink
 * @param {{opacity?: number, edge?: number}} [look] edge: so many pixels of the top alone
 */
function bars(pen, heights, height, ink, { opacity = 1, edge = Infinity } = {}) {
  pen.fillStyle = ink;
  pen.globalAlpha = opacity;
  for (let first = 0, last = 0; first < heights.length; first = last) {
    while (last < heights.length && heights[last] === heights[first]) last++;
    const high = heights[first] && Math.max(2, Math.round(heights[first] * height));
    pen.fillRect(first, height - high, last - first, Math.min(high, edge));
  }
  pen.globalAlpha = 1;
}
