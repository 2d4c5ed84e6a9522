/**
 * The parts of a recording that are inferred, and the stretches of time that get an answer: `lay_out` of `ser.inference.plan`.
 *
 * @typedef {object} Plan all numbers are samples of the recording
 * @property {[number, number][]} spans inferred separately, in the order of their starts
 * @property {number} window length of a span
 * @property {number[]} edges of the cells
 * @property {number[]} speech hops of it in each cell
 * @property {number[]} least hops of speech for which each cell is answered
 */

import { secondsToSamples } from "./units.js";
import { counter, findSpeech } from "./vad_energy.js";
import { HOP_SECONDS } from "./waveform.js";
import { cellEdges, smooth, windowStarts } from "./windows.js";

/** Seconds of speech that a window, or a cell, needs to be answered; half of it if that is less. */
const LEAST_SPEECH = 0.2;
/** Around what is loud, so that the model's own trim finds there what it would find in the whole. */
const MARGIN_HOPS = 4;
/** Around what silero calls speech: a quarter of a second. */
const VOICE_MARGIN_HOPS = 16;

/**
 * A recording no longer than a window is one span. So is one where what is loud, if that holds all speech, or what is speech, is no longer,
 * with a margin that the model's trim cuts; and one without speech.
 * @param {import("./screening.js").Recording} recording
 * @param {import("./screening.js").Scan} found
 * @param {Uint8Array | null} voiced which hops are speech; null: decided by energy
 * @param {import("./files.js").Facts} facts
 * @returns {Plan}
 */
export function layOut({ rate, length }, { hop: step, power }, voiced, { audio, ...seconds }) {
  const [window, hop] = [secondsToSamples(seconds.window, rate), secondsToSamples(seconds.hop, rate)];
  const loud = findSpeech(power, audio.trim_top_db);
  const speech = voiced ?? loud;
  const hops = counter(speech);
  /** @type {(first: number, last: number) => Plan} */
  const oneSpan = (first, last) => {
    return { spans: [[first, last]], window: last - first, edges: bounds(speech, step, length), speech: [hops(0, length)], least: [1] };
  };
  if (length <= window) return oneSpan(0, length);
  const spoken = speech.includes(1);
  const [begin, end] = bounds(spoken ? speech : loud, step, length);
  const beyond = VOICE_MARGIN_HOPS * step;
  const trims = [
    { some: loud, margin: MARGIN_HOPS },
    { some: speech, margin: VOICE_MARGIN_HOPS },
  ];
  for (const { some, margin } of audio.trim_silence ? trims : []) {
    const [first, last] = bounds(some, step, length);
    if (last - first > window || begin < first - beyond || last + beyond < end) continue; // a door that slams, and no speech
    return oneSpan(Math.max(0, Math.min(first - margin * step, begin)), Math.min(length, Math.max(last + margin * step, end)));
  }
  const [first, last] = audio.trim_silence ? bounds(speech, step, length) : [0, length];
  const starts = windowStarts(last - first, window, hop).map((start) => first + start);
  if (!spoken) {
    const start = starts[fullest(held(starts, window, counter(loud), step))];
    return oneSpan(start, start + window);
  }
  const edges = cellEdges(last - first, hop).map((edge) => first + edge);
  return {
    spans: spokenStarts(starts, window, hops, step).map((start) => [start, start + window]),
    window,
    edges,
    speech: edges.slice(1).map((end, cell) => hops(Math.floor(edges[cell] / step), Math.floor(end / step))),
    least: edges.slice(1).map((end, cell) => leastHops((end - edges[cell]) / step)),
  };
}

/**
 * @param {Uint8Array} speech
 * @param {number} step samples of a hop
 * @param {number} length samples of the recording
 * @returns {[number, number]} where it begins and ends; a recording without any is taken whole
 */
function bounds(speech, step, length) {
  return speech.includes(1) ? [speech.indexOf(1) * step, Math.min(length, (speech.lastIndexOf(1) + 1) * step)] : [0, length];
}

/** @param {number} hops of a stretch */
function leastHops(hops) {
  return Math.max(1, Math.min(LEAST_SPEECH / HOP_SECONDS, hops / 2));
}

/**
 * @param {number[]} starts
 * @param {number} window
 * @param {(first: number, last: number) => number} hops of speech
 * @param {number} step samples of a hop
 * @returns {number[]} of the windows that hold enough speech; if none does, of the one with most
 */
function spokenStarts(starts, window, hops, step) {
  const counts = held(starts, window, hops, step);
  const enough = starts.filter((_, index) => counts[index] >= leastHops(window / step));
  return enough.length ? enough : [starts[fullest(counts)]];
}

/**
 * @param {number[]} starts
 * @param {number} window
 * @param {(first: number, last: number) => number} hops of speech
 * @param {number} step samples of a hop
 * @returns {number[]} hops of speech in each window
 */
function held(starts, window, hops, step) {
  return starts.map((start) => hops(Math.floor(start / step), Math.floor((start + window) / step)));
}

/** @param {number[]} counts */
function fullest(counts) {
  return counts.indexOf(Math.max(...counts));
}

/**
 * @param {number[][]} answers to the spans, (spans, classes)
 * @param {Plan} plan
 * @returns {{answers: number[][], speech: number[]}} what holds for each cell, and its hops of speech: 0 for one that is not answered
 */
export function weigh(answers, { spans, window, edges, speech, least }) {
  if (speech.length === 1) return { answers, speech };
  const cells = smooth(
    answers,
    spans.map(([first]) => first),
    window,
    edges,
  );
  const most = Math.max(...speech.filter((_, cell) => cells[cell]));
  const held = speech.map((hops, cell) => (cells[cell] && hops >= Math.min(least[cell], most) ? Math.max(hops, 1) : 0));
  return { answers: cells.map((cell) => cell ?? answers[0].map(() => 0)), speech: held };
}
