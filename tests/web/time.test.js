/** Units, windows and curves: the numbers of `ser.units`, `ser.inference.windows` and `ser.inference.attention`. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { curves } from "../../src/ser/web/local/attention.js";
import { layOut, weigh } from "../../src/ser/web/local/plan.js";
import { commonDivisor, rounded, secondsToSamples } from "../../src/ser/web/local/units.js";
import { cellEdges, smooth, stretches, weightedMean, windowStarts } from "../../src/ser/web/local/windows.js";
import { assertClose, golden } from "./golden.js";

test("seconds become samples as in Python, which rounds half to even", () => {
  const found = golden.units.cases.map((/** @type {[number, number]} */ [seconds, rate]) => secondsToSamples(seconds, rate));
  assert.deepEqual(found, golden.units.samples);
});

test("numbers are rounded to six digits, and fractions reduced", () => {
  assert.equal(rounded(0.1234564999), 0.123456);
  assert.equal(rounded(2 / 3, 3), 0.667);
  assert.equal(commonDivisor(44_100, 16_000), 100);
});

test("windows and cells stand where Python puts them, and weigh as much", () => {
  for (const { length, window, hop, starts, edges, answers, cells } of golden.windows) {
    assert.deepEqual(windowStarts(length, window, hop), starts);
    assert.deepEqual(cellEdges(length, hop), edges);
    assertClose(smooth(answers, starts, window, edges), cells);
  }
});

test("neighbouring cells with the same answer are one stretch", () => {
  for (const { answers, stretches: expected } of golden.stretches) assert.deepEqual(stretches(answers), expected);
});

test("a mean without any weight is none", () => {
  assert.equal(weightedMean([[1, 2]], [0]), null);
  assert.deepEqual(
    weightedMean(
      [
        [1, 0],
        [0, 1],
      ],
      [1, 3],
    ),
    [0.25, 0.75],
  );
});

test("the attention of overlapping windows is the curve of Python", () => {
  const { seconds, windows, rate, weights } = golden.curve;
  const heard = windows.map((/** @type {any} */ { weights: steps, start, reach }) => ({
    attention: { mel: Float32Array.from(steps) },
    start,
    reach,
  }));
  const { mel } = curves(heard, seconds, { mel: 4 });
  assert.equal(mel.rate, rate);
  assertClose(mel.weights, weights, 1e-3);
});

const FACTS = /** @type {any} */ ({ window: 2, hop: 1, audio: { trim_silence: true, trim_top_db: 30 } });
const RATE = 1000;
const HOP = 16;

/**
 * @param {number} seconds
 * @param {(second: number) => boolean} loud
 */
function laidOut(seconds, loud) {
  const power = Float64Array.from({ length: Math.floor((seconds * RATE) / HOP) + 1 }, (_, hop) => (loud((hop * HOP) / RATE) ? 1 : 1e-9));
  const recording = /** @type {any} */ ({ rate: RATE, length: seconds * RATE });
  return layOut(recording, { hop: HOP, power, warnings: [] }, null, FACTS);
}

test("a recording no longer than a window is one span", () => {
  const { spans, least } = laidOut(2, () => true);
  assert.deepEqual(spans, [[0, 2000]]);
  assert.deepEqual(least, [1]);
});

test("little speech in a long recording is one span with a margin", () => {
  const { spans, edges } = laidOut(10, (second) => second > 4 && second < 5);
  assert.deepEqual(edges, [4016, 5008]);
  assert.deepEqual(spans, [[4016 - 4 * HOP, 5008 + 4 * HOP]]);
});

test("long speech is windows over what is loud, one cell a hop", () => {
  const { spans, window, edges, speech } = laidOut(10, (second) => second >= 1 && second < 7);
  assert.equal(window, 2000);
  assert.equal(spans[0][0], 1008);
  assert.ok(spans.every(([first, last]) => last - first === 2000));
  assert.equal(edges.length, speech.length + 1);
  assert.ok(speech.every((hops) => hops > 0));
});

test("a cell that holds too little speech is not answered", () => {
  const plan = { spans: /** @type {[number, number][]} */ ([[0, 4]]), window: 4, edges: [0, 2, 4], speech: [2, 0], least: [1, 1] };
  assert.deepEqual(weigh([[0.25, 0.75]], plan).speech, [2, 0]);
});
