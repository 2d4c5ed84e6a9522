/** What lies beside the page. */

export const here = (path) => new URL(`../${path}`, import.meta.url).href;

/**
 * @typedef {object} Facts model.json
 * @property {string[]} classes
 * @property {string} licence
 * @property {number | null} threshold of the confidence, below which the answer is unknown
 * @property {string} weights their digest
 * @property {import("./audio.js").AudioConfig} audio
 * @property {Record<string, number>} attention_rate Hz
 * @property {number} window seconds
 * @property {number} hop seconds
 * @property {"silero" | "energy"} voice who tells speech from silence
 */

/** @returns {Promise<Facts>} */
export async function readFacts() {
  return (await get("model.json")).json();
}

/**
 * @param {string} path beside the page
 * @returns {Promise<Response>}
 */
export async function get(path) {
  const response = await fetch(here(path));
  if (!response.ok) throw new Error(`${path}: HTTP ${response.status}`);
  return response;
}
