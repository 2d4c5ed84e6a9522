/** A waveform and its stages, as of `ser.audio.waveform`: mono, trimmed, resampled, cut to the model's duration, peak 1. */

import { resample } from "./resample.js";
import { secondsToSamples } from "./units.js";

/** Loudness is measured over 64 ms, every 16 ms, whatever the sample rate. */
export const HOP_SECONDS = 0.016;
const HOPS_PER_FRAME = 4;
/** A trim that would leave less is not made. */
const LEAST_SECONDS = 0.1;
/** Mean square (-100 dB) that counts as the loudness of anything quieter. */
export const SILENT_POWER = 1e-10;

/**
 * @typedef {object} AudioConfig the `audio` of the model's configuration
 * @property {number} sampling_rate Hz
 * @property {boolean} trim_silence
 * @property {number} trim_top_db
 * @property {number | null} duration seconds
 * @property {boolean} pad
 */

/**
 * @param {Float32Array} mono
 * @param {number} rate Hz
 * @param {AudioConfig} config
 * @returns {{waveform: Float32Array, start: number}} with a peak of 1, and seconds from the start of `mono` to that of the waveform
 */
export function prepare(mono, rate, config) {
  const [first, last] = config.trim_silence ? keptSpan(mono, rate, config.trim_top_db) : [0, mono.length];
  const resampled = resample(mono.subarray(first, last), rate, config.sampling_rate);
  const [fixed, start] = fixDuration(resampled, config);
  return { waveform: normalisePeak(fixed), start: first / rate + start / config.sampling_rate };
}

/**
 * @param {Float32Array[]} channels
 * @returns {Float32Array} their mean, in steps of 32 bits as numpy computes it
 */
export function mixDown(channels) {
  if (channels.length === 1) return channels[0];
  const mono = channels[0].slice();
  for (const channel of channels.slice(1)) channel.forEach((sample, index) => (mono[index] += sample));
  return mono.map((sum) => sum / channels.length);
}

/**
 * @param {Float32Array} waveform
 * @param {number} hop samples
 * @returns {Float64Array} sum of squares of every whole hop, and of the rest after them (which may be empty)
 */
export function hopEnergy(waveform, hop) {
  const energy = new Float64Array(Math.floor(waveform.length / hop) + 1);
  for (let index = 0; index < energy.length; index++) {
    let sum = 0;
    for (let at = index * hop; at < Math.min(waveform.length, (index + 1) * hop); at++) sum += waveform[at] * waveform[at];
    energy[index] = sum;
  }
  return energy;
}

/**
 * @param {Float64Array} energy of hops
 * @param {number} hop samples
 * @returns {Float64Array} mean square of frames of four hops, centred on the start of every hop, with zeros around the clip
 */
export function framePower(energy, hop) {
  return energy.map((_, index) => {
    let sum = 0;
    for (let at = index - 2; at < index - 2 + HOPS_PER_FRAME; at++) sum += energy[at] ?? 0;
    return sum / (HOPS_PER_FRAME * hop);
  });
}

/**
 * @param {Float32Array} waveform
 * @param {number} rate Hz
 * @param {number} topDb
 * @returns {[number, number]} first sample to keep, and the first after the last: without leading and trailing frames that far below the
 *   loudest; the whole if less than 0.1 s would be left
 */
function keptSpan(waveform, rate, topDb) {
  const hop = secondsToSamples(HOP_SECONDS, rate);
  const power = framePower(hopEnergy(waveform, hop), hop).map((value) => Math.max(value, SILENT_POWER));
  const least = power.reduce((most, value) => Math.max(most, value)) * 10 ** (-topDb / 10);
  /** @param {number} value */
  const loud = (value) => value > least;
  const [start, end] = [power.findIndex(loud) * hop, Math.min(waveform.length, (power.findLastIndex(loud) + 1) * hop)];
  return end - start < secondsToSamples(LEAST_SECONDS, rate) ? [0, waveform.length] : [start, end];
}

/**
 * @param {Float32Array} waveform
 * @param {AudioConfig} config
 * @returns {[Float32Array, number]} the centre of a longer one; a shorter one as it is, or amid zeros; and which sample it begins with
 */
function fixDuration(waveform, { duration, sampling_rate: rate, pad }) {
  if (duration === null) return [waveform, 0];
  const target = secondsToSamples(duration, rate);
  const start = Math.trunc((waveform.length - target) / 2);
  if (waveform.length >= target) return [waveform.subarray(start, start + target), start];
  if (!pad) return [waveform, 0];
  const padded = new Float32Array(target);
  padded.set(waveform, -start);
  return [padded, start];
}

/** @param {Float32Array} waveform */
function normalisePeak(waveform) {
  const peak = waveform.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  return peak > 0 ? waveform.map((sample) => sample / peak) : waveform;
}
