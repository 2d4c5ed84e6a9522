/** Numbers and reasons in words, and columns of pixels. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { highest, passageAt, reached, ticks } from "../../src/ser/web/columns.js";
import { asPredictionError, mayPass, PredictionError, SENTENCES, sentence } from "../../src/ser/web/errors.js";
import { clock, listed, percent, percentsApart, ranked, size, spoken, warning } from "../../src/ser/web/words.js";

test("times are told as of a clock and as one says them", () => {
  assert.deepEqual(
    [3.25, 59.96, 3723, 0].map((seconds) => clock(seconds)),
    ["0:03.3", "1:00.0", "1:02:03.0", "0:00.0"],
  );
  assert.deepEqual([1, 3.2, 61, 7325].map(spoken), ["1 second", "3.2 seconds", "1 minute 1 second", "2 hours 2 minutes 5 seconds"]);
});

test("shares that are nearly alike get more digits", () => {
  assert.equal(percent(0.835), "84\u00a0%");
  assert.deepEqual(percentsApart(0.2, 0.69), ["20\u00a0%", "69\u00a0%"]);
  assert.deepEqual(percentsApart(0.686, 0.69), ["68.6\u00a0%", "69.0\u00a0%"]);
});

test("names, sizes and warnings are told in words", () => {
  assert.equal(listed(["a", "b", "c"]), "a, b and c");
  assert.deepEqual([1, 1 << 20].map(size), ["1 KiB", "1 MiB"]);
  assert.match(warning("stereo"), /several channels/);
  assert.equal(warning("a-new-one"), "a-new-one");
  assert.deepEqual(ranked({ sad: 0.25, happy: 0.75 }), [
    ["happy", 0.75],
    ["sad", 0.25],
  ]);
});

test("whatever was thrown has a reason and a sentence", () => {
  const error = new PredictionError("busy", "3 wait");
  assert.equal(asPredictionError(error), error);
  assert.deepEqual([mayPass(error), mayPass({ reason: "silent" })], [true, false]);
  assert.equal(asPredictionError(new TypeError("x")).reason, "failed");
  assert.equal(asPredictionError("x").detail, "x");
  assert.equal(sentence(error), SENTENCES.busy);
  assert.equal(sentence({ reason: "a-new-one" }), "There is no answer for this recording.");
});

test("values and passages fall into columns of pixels", () => {
  assert.deepEqual(Array.from(highest([1, 3, 2, 0], 2, 4)), [3, 2, 0, 0]);
  assert.deepEqual(Array.from(reached([{ start: 3.99, end: 4 }], () => 1, 4, 2)), [0, 1]);
  assert.equal(passageAt([{ start: 1, end: 2 }], 3), undefined);
  assert.equal(passageAt([{ start: 1, end: 2 }], 1.5).end, 2);
  assert.deepEqual(ticks(7200, 4), [0, 1800, 3600, 5400, 7200]);
});
