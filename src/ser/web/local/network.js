/** The exported model. */

import { PredictionError } from "../errors.js";
import { openSession, tensor } from "./runtime.js";

/**
 * @typedef {object} Heard
 * @property {number[]} probabilities calibrated
 * @property {Record<string, Float32Array>} attention weights that sum to 1
 */

/**
 * @param {import("./files.js").Facts} facts
 * @returns {Promise<(waveform: Float32Array) => Promise<Heard>>} takes prepared waveforms
 */
export async function loadNetwork(facts) {
  const session = await openSession("model.onnx");
  return (waveform) => run(session, waveform, Object.keys(facts.attention_rate));
}

/**
 * @param {any} session
 * @param {Float32Array} waveform prepared
 * @param {string[]} names of the attention
 * @returns {Promise<Heard>}
 * @throws {PredictionError} not-finite
 */
async function run(session, waveform, names) {
  /** @type {Record<string, object>} */
  const values = {
    waveforms: tensor(waveform, 1, waveform.length),
    lengths: tensor(BigInt64Array.of(BigInt(waveform.length)), 1),
  };
  const feeds = Object.fromEntries(session.inputNames.map((/** @type {string} */ name) => [name, values[name]]));
  const found = await session.run(feeds, ["probabilities", ...names.map((name) => `attention_${name}`)]);
  /** @type {number[]} */
  const probabilities = Array.from(found.probabilities.data);
  if (!probabilities.every(Number.isFinite)) {
    throw new PredictionError("not-finite", "the model's own numbers are too large for the precision of its features");
  }
  return {
    probabilities,
    attention: Object.fromEntries(names.map((name) => [name, withoutPadding(found[`attention_${name}`].data)])),
  };
}

/**
 * @param {Float32Array} weights
 * @returns {Float32Array} without the zeros at the end
 */
function withoutPadding(weights) {
  return weights.subarray(0, weights.findLastIndex((weight) => weight !== 0) + 1);
}
