/** Predictions by this page's own service. The static export has another file with the same interface in its place. */

import { PredictionError } from "./errors.js";

export const WHERE = "service";

/** @param {string} path */
const here = (path) => new URL(path, import.meta.url).href;

/**
 * @returns {Promise<{classes: string[], licence: string, threshold: number | null, maxBytes: number | null, maxSeconds: number | null,
 *   where: "service"}>}
 */
export async function about() {
  const response = await fetch(here("v1/model")).catch(() => {
    throw new PredictionError("unreachable");
  });
  const model = parsed(await response.text());
  if (!response.ok || !model) throw problem(response.status, model);
  return { ...model, maxBytes: model.max_bytes ?? null, maxSeconds: model.max_seconds ?? null, where: WHERE };
}

/**
 * @param {Blob} blob a whole file
 * @param {{signal?: AbortSignal, progress?: (fraction: number) => void}} [options] progress: of what was sent; 1 while the model predicts
 * @returns {Promise<import("./result.js").Answer>} the record of `POST /v1/predict`
 * @throws {PredictionError} and an AbortError where the signal says so
 */
export function predict(blob, { signal, progress = () => {} } = {}) {
  const form = new FormData();
  form.append("file", blob, /** @type {any} */ (blob).name ?? "recording");
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not report upload progress
    request.open("POST", here("v1/predict"));
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onload = () => {
      const said = parsed(request.response);
      if (request.status === 200 && said) resolve(said);
      else reject(problem(request.status, said));
    };
    request.onerror = () => reject(new PredictionError("unreachable"));
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    signal?.addEventListener("abort", () => request.abort());
    if (signal?.aborted) reject(new DOMException("cancelled", "AbortError"));
    else request.send(form);
  });
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // something in between wrote it
  }
}

/**
 * @param {number} status of HTTP
 * @param {{reason?: string, detail?: string} | null} said application/problem+json; without it the status has to do
 */
function problem(status, said) {
  /** @type {Record<number, string>} */
  const codes = { 413: "too-large", 429: "busy", 503: "busy", 504: "timeout" };
  return new PredictionError(said?.reason ?? codes[status] ?? "failed", said?.detail ?? `HTTP ${status}`);
}
