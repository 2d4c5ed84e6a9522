/** onnxruntime in WebAssembly, on one thread. Only files beside this page are requested. */

import * as onnx from "../onnxruntime/onnxruntime.js";
import { addressOf, get, here } from "./files.js";

/** What goes wrong is thrown, and said once. */
const SILENT = 4;

onnx.env.wasm.numThreads = 1;

/**
 * @param {string} path of an ONNX file beside the page
 * @returns {Promise<any>} an InferenceSession
 */
export async function openSession(path) {
  onnx.env.wasm.wasmPaths = { wasm: here(await addressOf("onnxruntime/onnxruntime.wasm")) };
  const content = new Uint8Array(await (await get(await addressOf(path))).arrayBuffer());
  const extra = { session: { disable_quant_qdq: "1" } }; // weights of 8 bits become 32 once, as in Python
  return onnx.InferenceSession.create(content, { executionProviders: ["wasm"], logSeverityLevel: SILENT, extra });
}

/**
 * @param {Float32Array | BigInt64Array} data
 * @param {...number} shape
 */
export function tensor(data, ...shape) {
  return new onnx.Tensor(data instanceof Float32Array ? "float32" : "int64", data, shape);
}
