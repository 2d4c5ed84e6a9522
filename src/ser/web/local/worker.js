/** The worker thread that predicts, so that the page stays responsive. One recording after the other. */

import { PredictionError } from "../errors.js";
import { readFacts } from "./files.js";
import { listen } from "./listen.js";
import { loadNetwork } from "./network.js";
import { loadSilero } from "./vad_silero.js";

const loading = load();
loading.catch(() => {}); // reported to every request
const cancelled = new Set();
let before = Promise.resolve();

self.onmessage = ({ data: { id, recording, fileName, cancel } }) => {
  if (cancel) cancelled.add(id);
  else before = before.then(() => work(id, recording, fileName));
};

/** @returns {Promise<import("./listen.js").Ear>} */
async function load() {
  const facts = await readFacts();
  const [network, silero] = await Promise.all([loadNetwork(facts), facts.voice === "silero" ? loadSilero() : null]);
  return { facts, network, silero };
}

/**
 * @param {number} id of the request
 * @param {import("./recording.js").Opened} recording
 * @param {string} fileName
 */
async function work(id, recording, fileName) {
  try {
    const ear = await loading.catch((error) => {
      throw new PredictionError("unavailable", String(error.message ?? error));
    });
    /** @param {number} fraction */
    const progress = async (fraction) => {
      self.postMessage({ id, progress: fraction });
      await new Promise((resolve) => setTimeout(resolve)); // a cancellation may have come meanwhile
      if (cancelled.has(id)) throw new DOMException("cancelled", "AbortError");
    };
    self.postMessage({ id, record: await listen(recording, fileName, ear, progress) });
  } catch (thrown) {
    const error = /** @type {Partial<PredictionError>} */ (thrown);
    self.postMessage({ id, error: { reason: error.reason ?? "failed", detail: error.detail ?? String(error.message ?? error) } });
  } finally {
    cancelled.delete(id);
  }
}
