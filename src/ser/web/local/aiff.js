/** AIFF and AIFF-C; COMM may follow the samples: AIFF-C specification, Apple 1991. */

import { PredictionError } from "../errors.js";
import { checkLength } from "./lengths.js";
import { MOST_CHUNKS } from "./riff.js";

/** @type {Record<string, [string, number, boolean, boolean]>} compression type -> code, bytes of one sample (0: as COMM says), lowest byte first, no sign */
const CODECS = {
  "NONE": ["integer", 0, false, false],
  "twos": ["integer", 0, false, false],
  "sowt": ["integer", 0, true, false],
  "raw ": ["integer", 1, false, true],
  "in24": ["integer", 3, false, false],
  "42ni": ["integer", 3, true, false],
  "in32": ["integer", 4, false, false],
  "23ni": ["integer", 4, true, false],
  "fl32": ["float", 4, false, false],
  "FL32": ["float", 4, false, false],
  "fl64": ["float", 8, false, false],
  "FL64": ["float", 8, false, false],
  "alaw": ["alaw", 1, false, false],
  "ALAW": ["alaw", 1, false, false],
  "ulaw": ["mulaw", 1, false, false],
  "ULAW": ["mulaw", 1, false, false],
};

/**
 * @param {import("./source.js").Source} source
 * @returns {import("./containers.js").Container}
 * @throws {PredictionError} bad-header, header-only, truncated or unsupported-codec
 */
export function identifyAiff(source) {
  if (!["AIFF", "AIFC"].includes(source.text(8, 4))) {
    if (source.size < 12) throw new PredictionError("truncated", "the file ends in its header");
    throw new PredictionError("unsupported-codec", "FORM without AIFF");
  }
  const { common, samples } = walk(source);
  const { frames, rate, channels, width, code, little, unsigned } = readCommon(source, common);
  if (frames && !samples) throw new PredictionError("truncated", "the file ends before its samples");
  const there = source.size - samples;
  checkLength(frames * channels * width, there, channels * width, rate);
  const count = Math.min(frames, Math.floor(there / (channels * width)));
  return { name: "aiff", rate, channels, layout: { start: samples, count, channels, width, code, little, unsigned } };
}

/** @param {import("./source.js").Source} source */
function walk(source) {
  const common = { start: 0, length: 0 };
  let samples = 0;
  let offset = 12;
  for (let chunk = 0; chunk < MOST_CHUNKS && offset + 8 <= source.size; chunk++) {
    const name = source.text(offset, 4);
    const length = source.number(offset + 4, 4, false);
    offset += 8;
    if (name === "COMM") Object.assign(common, { start: offset, length: Math.min(length, 22, source.size - offset) });
    if (name === "SSND" && offset + 4 <= source.size) samples = offset + 8 + source.number(offset, 4, false);
    offset += length + (length % 2);
  }
  return { common, samples };
}

/**
 * @param {import("./source.js").Source} source
 * @param {{start: number, length: number}} chunk
 */
function readCommon(source, { start, length }) {
  if (length < 18) throw new PredictionError("bad-header", "no complete COMM chunk");
  const [channels, frames, bits] = [source.number(start, 2, false), source.number(start + 2, 4, false), source.number(start + 6, 2, false)];
  const rate = extended(source, start + 8);
  const type = length > 18 ? source.text(start + 18, length - 18) : "NONE";
  if (!(type in CODECS)) throw new PredictionError("unsupported-codec", `AIFF-C codec ${type}`);
  const [code, fixed, little, unsigned] = CODECS[type];
  const width = fixed || Math.floor((bits + 7) / 8);
  if (!channels || !rate || width < 1 || width > 8 || (code === "integer" && width > 4)) {
    throw new PredictionError("bad-header", `${channels} channels, ${rate} Hz, ${bits} bits`);
  }
  return { frames, rate, channels, width, code, little, unsigned };
}

/**
 * @param {import("./source.js").Source} source
 * @param {number} offset
 * @returns {number} an 80-bit float, whose mantissa has 63 fractional bits, as an integer; 0 if it is not a valid rate
 */
function extended(source, offset) {
  const exponent = (source.number(offset, 2, false) & 0x7fff) - 16383;
  if (exponent >= 32) return 0;
  return Math.round((source.number(offset + 2, 4, false) + source.number(offset + 6, 4, false) / 2 ** 32) * 2 ** (exponent - 31));
}
