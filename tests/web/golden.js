/** What the Python twins answer. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

export const golden = JSON.parse(readFileSync(new URL("golden.json", import.meta.url), "utf8"));

/**
 * Numbers that are equal but for rounding, in arrays of any depth.
 * @param {any} found
 * @param {any} expected
 * @param {number} [tolerance]
 */
export function assertClose(found, expected, tolerance = 1e-9) {
  if (typeof expected === "number") {
    assert.ok(Math.abs(found - expected) <= tolerance, `${found} instead of ${expected}`);
  } else if (expected === null) {
    assert.equal(found, null);
  } else {
    assert.equal(found.length, expected.length);
    for (const [index, value] of Array.from(expected).entries()) assertClose(found[index], value, tolerance);
  }
}
