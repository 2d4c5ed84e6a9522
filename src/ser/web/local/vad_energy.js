/** Speech detection by energy, like `ser.audio.vad_energy`. */

import { HOP_SECONDS, SILENT_POWER } from "./waveform.js";

/** Loud is what this share of a recording exceeds, or so many seconds of a long one: a slammed door does not make all speech silence. */
const LOUD_SHARE = 0.01;
const LOUD_SECONDS = 3;

/**
 * @param {Float64Array} power of each hop
 * @param {number} topDb below what is loud
 * @returns {Uint8Array} 1 for each hop of speech
 */
export function findSpeech(power, topDb) {
  const floored = power.map((value) => Math.max(value, SILENT_POWER));
  const loud = Math.trunc(Math.min(LOUD_SHARE * floored.length, LOUD_SECONDS / HOP_SECONDS));
  const least = floored.slice().sort()[floored.length - 1 - loud] * 10 ** (-topDb / 10);
  return Uint8Array.from(floored, (value) => (value > least ? 1 : 0));
}

/**
 * @param {Uint8Array} speech
 * @returns {(first: number, last: number) => number} hops of speech from one hop to before another, at most as many as there are
 */
export function counter(speech) {
  const before = new Uint32Array(speech.length + 1);
  speech.forEach((is, hop) => (before[hop + 1] = before[hop] + is));
  return (first, last) => before[Math.min(last, speech.length)] - before[Math.min(first, speech.length)];
}
