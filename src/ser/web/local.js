/** The model in this page itself: the recording never leaves the machine. The static export has this file in the place of `service.js`. */

import { PredictionError } from "./errors.js";
import { identify } from "./local/containers.js";
import { decode } from "./local/decode.js";
import { readFacts } from "./local/files.js";
import { checkDuration, MOST_BYTES, MOST_SECONDS } from "./local/limits.js";

export const WHERE = "browser";

const worker = new Worker(new URL("local/worker.js", import.meta.url), { type: "module" });
/** @type {Map<number, {resolve: Function, reject: Function, progress: (fraction: number) => void}>} */
const waiting = new Map();
let requests = 0;
/** @type {PredictionError | null} why the worker accepts no requests */
let broken = null;

worker.onmessage = ({ data: { id, progress, record, error } }) => {
  const request = waiting.get(id);
  if (!request) return; // cancelled
  if (progress !== undefined) {
    request.progress(progress);
    return;
  }
  waiting.delete(id);
  if (record) request.resolve(record);
  else request.reject(new PredictionError(error.reason, error.detail));
};
worker.onerror = (event) => {
  broken = new PredictionError("unavailable", event.message ?? "a part of the page is missing");
  for (const { reject } of waiting.values()) reject(broken);
  waiting.clear();
};

/**
 * @returns {Promise<{classes: string[], licence: string, threshold: number | null, maxBytes: number, maxSeconds: number, where: "browser"}>}
 */
export async function about() {
  const { classes, licence, threshold } = await readFacts().catch((error) => {
    throw new PredictionError("unavailable", error.message);
  });
  return { classes, licence, threshold, maxBytes: MOST_BYTES, maxSeconds: MOST_SECONDS, where: WHERE };
}

/**
 * @param {Blob} blob a whole file
 * @param {{signal?: AbortSignal, progress?: (fraction: number) => void}} [options] progress: of the inferred part
 * @returns {Promise<import("./result.js").Answer>} the record of `POST /v1/predict`
 * @throws {PredictionError} and an AbortError where the signal says so
 */
export async function predict(blob, { signal, progress = () => {} } = {}) {
  signal?.throwIfAborted();
  const recording = await open(blob);
  signal?.throwIfAborted();
  if (broken) throw broken;
  const id = requests++;
  const arrays = recording.decoded ?? (recording.bytes ? [recording.bytes] : []);
  const buffers = arrays.map((array) => array.buffer);
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject, progress });
    signal?.addEventListener("abort", () => {
      waiting.delete(id);
      worker.postMessage({ id, cancel: true });
      reject(signal.reason);
    });
    worker.postMessage({ id, recording, fileName: /** @type {any} */ (blob).name ?? "" }, buffers);
  });
}

/**
 * @param {Blob} blob
 * @returns {Promise<import("./local/recording.js").Opened>}
 * @throws {PredictionError}
 */
async function open(blob) {
  if (blob.size > MOST_BYTES) throw new PredictionError("too-large", `more than ${MOST_BYTES} bytes`);
  const content = await blob.arrayBuffer().catch((error) => {
    throw new PredictionError("unreadable", error.message);
  });
  const bytes = new Uint8Array(content);
  const container = identify(bytes);
  checkDuration(container.layout?.count ?? container.promised ?? 0, container.rate);
  if (container.layout) return { container, bytes };
  const decoded = await decode(bytes, container);
  checkDuration(decoded[0].length, container.rate);
  return { container, decoded };
}
