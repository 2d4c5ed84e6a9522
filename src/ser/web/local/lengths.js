/** What a header promises against what is there. */

import { PredictionError } from "../errors.js";

/** Seconds; more than this missing, and a file counts as truncated. */
const TRUNCATED = 0.025;

/**
 * @param {number} promised bytes of samples
 * @param {number} there bytes of samples
 * @param {number} frame bytes of one sample of all channels
 * @param {number} rate Hz
 * @throws {PredictionError} header-only or truncated
 */
export function checkLength(promised, there, frame, rate) {
  if (Math.min(promised, there) < frame) throw new PredictionError("header-only", "the file has a header but no samples");
  checkMissing((promised - there) / (frame * rate));
}

/**
 * @param {number} seconds missing
 * @throws {PredictionError} truncated
 */
export function checkMissing(seconds) {
  if (seconds > TRUNCATED) throw new PredictionError("truncated", `${seconds.toFixed(3)} s shorter than the header states`);
}
