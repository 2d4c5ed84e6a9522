/** Recordings that cannot be used, and those that are used with a warning: the codes and limits of `ser.audio.screening`. */

import { PredictionError } from "../errors.js";
import { secondsToSamples } from "./units.js";
import { framePower, HOP_SECONDS, hopEnergy, mixDown } from "./waveform.js";

const LEAST_SECONDS = 0.1;
/** Hz; at this rate and below nothing above 4 kHz was recorded. */
const TELEPHONE_RATE = 8000;
const SILENT_DBFS = -80;
/** Times full scale; the sum of squares of larger samples would be infinite. */
const LARGEST = 1e15;
/** 16-bit audio ends at 32767 / 32768 = 0.99997. */
const FULL_SCALE = 0.9999;
/** One sample at full scale is a peak-normalised clip, several are a cut wave. */
const CLIPPED_SAMPLES = 3;
const DC_OFFSET = 0.02;
const BLOCK_SECONDS = 10;
/** @type {Record<string, string[]>} suffix -> what a file of that name holds */
const SUFFIXES = { wav: ["wav"], aiff: ["aiff"], aif: ["aiff"], flac: ["flac"], ogg: ["ogg", "opus"], opus: ["opus"], mp3: ["mp3"] };

/**
 * @typedef {object} Recording
 * @property {string} name of the container
 * @property {number} rate Hz
 * @property {number} channels
 * @property {number} length samples of each channel
 * @property {(first: number, last: number) => Float32Array[]} samples of each channel; full scale is 1
 */

/**
 * @typedef {object} Scan the result of one pass over a recording
 * @property {string[]} warnings
 * @property {number} hop samples from one power to the next
 * @property {Float64Array} power of frames around the start of each hop
 */

/**
 * @param {Recording} recording
 * @param {string} fileName empty: unknown
 * @returns {Scan}
 * @throws {PredictionError} not-finite, too-short or silent
 */
export function scan(recording, fileName) {
  const { rate, length } = recording;
  const hop = secondsToSamples(HOP_SECONDS, rate);
  const block = Math.ceil((BLOCK_SECONDS * rate) / hop) * hop;
  const energy = new Float64Array(Math.floor(length / hop) + 1);
  const tally = { count: length, full: 0, sum: 0, squares: 0 };
  for (let first = 0; first < length; first += block) {
    const channels = recording.samples(first, Math.min(length, first + block));
    const mono = mixDown(channels);
    add(tally, channels, mono);
    energy.set(hopEnergy(mono, hop).subarray(0, energy.length - first / hop), first / hop);
  }
  return { warnings: judge(tally, recording, fileName), hop, power: framePower(energy, hop) };
}

/**
 * @param {{full: number, sum: number, squares: number}} tally
 * @param {Float32Array[]} channels
 * @param {Float32Array} mono
 */
function add(tally, channels, mono) {
  for (const channel of channels) {
    for (const sample of channel) {
      const size = Math.abs(sample);
      if (!(size < LARGEST)) throw new PredictionError("not-finite", "NaN or infinite samples");
      if (size >= FULL_SCALE) tally.full++;
    }
  }
  for (const sample of mono) {
    tally.sum += sample;
    tally.squares += sample * sample;
  }
}

/**
 * @param {{count: number, full: number, sum: number, squares: number}} tally
 * @param {Recording} recording
 * @param {string} fileName
 * @returns {string[]} warnings
 */
function judge({ count, full, sum, squares }, { name, rate, channels }, fileName) {
  const seconds = count / rate;
  if (seconds < LEAST_SECONDS) throw new PredictionError("too-short", `${seconds.toFixed(3)} s; at least ${LEAST_SECONDS} s are needed`);
  const mean = sum / count;
  const power = squares / count - mean ** 2;
  const level = power > 0 ? 10 * Math.log10(power) : -Infinity;
  if (level < SILENT_DBFS) throw new PredictionError("silent", Number.isFinite(level) ? `${level.toFixed(0)} dBFS` : "digital silence");
  const suffix = fileName.includes(".") ? /** @type {string} */ (fileName.split(".").pop()).toLowerCase() : "";
  /** @type {Record<string, boolean>} */
  const findings = {
    "clipped": full >= CLIPPED_SAMPLES,
    "dc-offset": Math.abs(mean) > DC_OFFSET,
    "stereo": channels > 1,
    "8khz": rate <= TELEPHONE_RATE,
    "name-content-mismatch": !(SUFFIXES[suffix] ?? [name]).includes(name),
  };
  return Object.keys(findings).filter((code) => findings[code]);
}
