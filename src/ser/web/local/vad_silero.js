/** Speech detection by silero-vad, like `ser.audio.vad_silero`. All lengths are samples at 16 kHz unless another rate is named. */

import { resample } from "./resample.js";
import { openSession, tensor } from "./runtime.js";
import { mixDown } from "./waveform.js";

const RATE = 16_000;
/** 32 ms have one probability of speech. The network sees the last 4 ms before them too. */
const CHUNK = 512;
const CONTEXT = 64;
const STATE = [1, 1, 128];
const CHUNKS_AT_ONCE = 125;
/** Seconds that are shown with one gain, so that the loudest sample so far, theirs included, is 1. */
const MINUTE = 60;
/** Times the peak before: what came until then was shown too loud, and what the network remembers of it would drown what comes. */
const LOUDER = 2;
/** Of either side, in seconds: more than the resampler looks around. */
const MARGIN_SECONDS = 1;
/** Probabilities: speech begins with a chunk of the one or more, and may end with one below the other. */
const SPEECH = 0.5;
const SILENCE = 0.35;
/** Speech of 0.25 s or less is none, silence of less than 0.1 s does not end it, and 30 ms before and after belong to it. */
const LEAST_SPEECH = RATE / 4;
const LEAST_SILENCE = RATE / 10;
const MARGIN = (3 * RATE) / 100;
/** A chunk that reaches it makes a recording without speech doubtful, and so does one that is too short to tell. */
const DOUBT = 0.2;
const SURE_SECONDS = 1;

/**
 * Which hops are speech, by their centres: 1 for each. null if undecided.
 * @typedef {(recording: import("./screening.js").Recording, hop: number, hops: number, progress: (fraction: number) => Promise<void>)
 *   => Promise<Uint8Array | null>} Detector
 */

/** @returns {Promise<Detector>} */
export async function loadSilero() {
  const session = await openSession("silero/silero.onnx");
  return async (recording, hop, hops, progress) => {
    const length = Math.floor((recording.length * RATE) / recording.rate + 0.5);
    const probabilities = await listen(session, recording, length, progress);
    const stretches = findStretches(probabilities, length);
    if (!stretches.length && inDoubt(probabilities, length)) return null;
    return Uint8Array.from({ length: hops }, (_, index) => {
      const place = ((index + 0.5) * hop * RATE) / recording.rate;
      return stretches.some(([first, last]) => first <= place && place < last) ? 1 : 0;
    });
  };
}

/**
 * @param {any} session
 * @param {import("./screening.js").Recording} recording
 * @param {number} length
 * @param {(fraction: number) => Promise<void>} progress
 * @returns {Promise<number[]>} that each chunk is speech
 */
async function listen(session, recording, length, progress) {
  const probabilities = [];
  let state = fresh();
  let context = new Float32Array(CONTEXT);
  let peak = 0;
  for (let start = 0; start < length; start += MINUTE * RATE) {
    const minute = minuteOf(recording, start / RATE, Math.min(MINUTE * RATE, length - start));
    const loudest = minute.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    if (loudest > LOUDER * peak) state = fresh();
    peak = Math.max(peak, loudest);
    const rows = chunks(minute, context);
    context = rows.slice(-CONTEXT);
    const shown = rows.map((sample) => sample / (peak || 1));
    const width = CONTEXT + CHUNK;
    for (let at = 0; at < shown.length; at += CHUNKS_AT_ONCE * width) {
      await progress((start + (at / width) * CHUNK) / length);
      const some = shown.subarray(at, at + CHUNKS_AT_ONCE * width);
      const found = await session.run({ input: tensor(some, some.length / width, width), ...state });
      state = { h: found.hn, c: found.cn };
      probabilities.push(...found.speech_probs.data);
    }
  }
  return probabilities;
}

/** The initial state of the network. */
function fresh() {
  const size = STATE.reduce((product, count) => product * count);
  return { h: tensor(new Float32Array(size), ...STATE), c: tensor(new Float32Array(size), ...STATE) };
}

/**
 * @param {import("./screening.js").Recording} recording
 * @param {number} second where it begins
 * @param {number} count samples
 * @returns {Float32Array}
 */
function minuteOf(recording, second, count) {
  const { rate } = recording;
  const first = Math.max(0, second - MARGIN_SECONDS);
  const last = Math.min(recording.length, (second + MINUTE + MARGIN_SECONDS) * rate);
  const around = resample(mixDown(recording.samples(first * rate, last)), rate, RATE);
  return around.subarray((second - first) * RATE, (second - first) * RATE + count);
}

/**
 * @param {Float32Array} minute
 * @param {Float32Array} context the samples before it
 * @returns {Float32Array} each chunk with the last samples before it in front; the last is padded with zeros
 */
function chunks(minute, context) {
  const count = Math.ceil(minute.length / CHUNK);
  const padded = new Float32Array(CONTEXT + count * CHUNK);
  padded.set(context);
  padded.set(minute, CONTEXT);
  const rows = new Float32Array(count * (CONTEXT + CHUNK));
  for (let index = 0; index < count; index++) {
    rows.set(padded.subarray(index * CHUNK, (index + 1) * CHUNK + CONTEXT), index * (CONTEXT + CHUNK));
  }
  return rows;
}

/**
 * @param {number[]} probabilities
 * @param {number} length
 * @returns {boolean} whether a recording without speech by the rules may have some
 */
function inDoubt(probabilities, length) {
  return length < SURE_SECONDS * RATE || (length <= MINUTE * RATE && Math.max(...probabilities) >= DOUBT);
}

/**
 * @param {number[]} probabilities
 * @param {number} length
 * @returns {[number, number][]} by the rules of silero's `get_speech_timestamps`
 */
function findStretches(probabilities, length) {
  /** @type {[number, number][]} */
  const found = [];
  /** @type {number | null} */
  let start = null;
  /** @type {number | null} */
  let end = null;
  for (const [at, probability] of probabilities.entries()) {
    if (probability >= SPEECH) [start, end] = [start ?? at, null];
    else if (probability < SILENCE && start !== null) {
      end ??= at;
      if ((at - end) * CHUNK < LEAST_SILENCE) continue;
      found.push([start * CHUNK, end * CHUNK]);
      start = end = null;
    }
  }
  if (start !== null) found.push([start * CHUNK, length]);
  const long = found.filter(([first, last]) => last - first > LEAST_SPEECH);
  return long.map(([first, last]) => [Math.max(0, first - MARGIN), Math.min(length, last + MARGIN)]);
}
