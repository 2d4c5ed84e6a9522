/** What a page can hold in memory. */

import { PredictionError } from "../errors.js";

export const MOST_BYTES = 1 << 28;
/** Half an hour of stereo at 48 kHz is 700 MB when it is decoded. */
export const MOST_SECONDS = 1800;

/**
 * @param {number} samples of each channel
 * @param {number} rate Hz
 * @throws {PredictionError} too-long
 */
export function checkDuration(samples, rate) {
  if (samples > MOST_SECONDS * rate)
    throw new PredictionError("too-long", `more than ${MOST_SECONDS / 60} minutes; ser predict accepts it`);
}
