/** What lies beside the page. */

/** @param {string} path beside the page */
export const here = (path) => new URL(`../${path}`, import.meta.url).href;

/**
 * @typedef {object} Facts model.json
 * @property {string[]} classes
 * @property {string} licence
 * @property {number | null} threshold of the confidence, below which the answer is unknown
 * @property {string} weights their digest
 * @property {Record<string, string>} digests of the large files beside the page
 * @property {import("./waveform.js").AudioConfig} audio
 * @property {Record<string, number>} attention_rate Hz
 * @property {number} window seconds
 * @property {number} hop seconds
 * @property {"silero" | "energy"} voice the speech detector
 */

/** @type {Promise<Facts> | undefined} */
let facts;

/** @returns {Promise<Facts>} of the page as it is published now */
export function readFacts() {
  facts ??= get("model.json", { cache: "no-cache" }).then((response) => response.json());
  return facts;
}

/**
 * @param {string} path beside the page, of something large
 * @returns {Promise<string>} its address, which a browser keeps for this content alone
 */
export async function addressOf(path) {
  return `${path}?v=${(await readFacts()).digests[path]}`;
}

/**
 * @param {string} path beside the page
 * @param {RequestInit} [options]
 * @returns {Promise<Response>}
 */
export async function get(path, options) {
  const response = await fetch(here(path), options);
  if (!response.ok) throw new Error(`${path}: HTTP ${response.status}`);
  return response;
}
