/** The exported model in onnxruntime's WebAssembly, on one thread. What lies beside this page is fetched, and nothing else. */

import * as onnx from "../onnxruntime/onnxruntime.js";
import { get, here } from "./files.js";

/** @returns {Promise<(waveform: Float32Array, facts: import("./files.js").Facts) => Promise<Heard>>} */
export async function loadNetwork() {
  onnx.env.wasm.numThreads = 1;
  onnx.env.wasm.wasmPaths = { wasm: here("onnxruntime/onnxruntime.wasm") };
  onnx.env.logLevel = "error";
  const content = new Uint8Array(await (await get("model.onnx")).arrayBuffer());
  const extra = { session: { disable_quant_qdq: "1" } }; // weights of 8 bits become 32 once, as in Python
  const session = await onnx.InferenceSession.create(content, { executionProviders: ["wasm"], extra });
  return (waveform, facts) => run(session, waveform, facts);
}

/**
 * @typedef {object} Heard
 * @property {number[]} probabilities calibrated
 * @property {Record<string, Float32Array>} attention weights that sum to 1
 */

/**
 * @param {any} session
 * @param {Float32Array} waveform prepared
 * @param {import("./files.js").Facts} facts
 * @returns {Promise<Heard>}
 */
async function run(session, waveform, facts) {
  const values = {
    waveforms: new onnx.Tensor("float32", waveform, [1, waveform.length]),
    lengths: new onnx.Tensor("int64", BigInt64Array.of(BigInt(waveform.length)), [1]),
  };
  const feeds = Object.fromEntries(session.inputNames.map((name) => [name, values[name]]));
  const names = Object.keys(facts.attention_rate);
  const found = await session.run(feeds, ["probabilities", ...names.map((name) => `attention_${name}`)]);
  return {
    probabilities: Array.from(found.probabilities.data),
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
