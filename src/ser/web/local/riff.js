/** WAV: http://www-mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html */

import { PredictionError } from "../errors.js";
import { checkLength } from "./lengths.js";

const PCM = 1;
const FLOAT = 3;
const ALAW = 6;
const MULAW = 7;
const EXTENSIBLE = 0xfffe;
/** Of the identifier of a subformat, after the two bytes of its tag. */
const GUID_TAIL = "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71";
/** @type {Record<number, [string, number[]]>} tag -> its code, and the bytes that one sample of one channel may have */
const CODECS = { [PCM]: ["integer", [1, 2, 3, 4]], [FLOAT]: ["float", [4, 8]], [ALAW]: ["alaw", [1]], [MULAW]: ["mulaw", [1]] };

/** RIFF files have a handful; more is an attack or garbage. */
export const MOST_CHUNKS = 1000;
/** Programs that write into a pipe put 0x7FFFFFFF, 0xFFFFFFFF or nearly that for a size that they cannot know yet. */
const STREAMING = 0x7fff0000;

/**
 * @param {import("./source.js").Source} source
 * @returns {import("./containers.js").Container}
 * @throws {PredictionError} bad-header, header-only, truncated or unsupported-codec
 */
export function identifyWav(source) {
  if (source.text(8, 4) !== "WAVE") {
    if (source.size < 12) throw new PredictionError("truncated", "the file ends in its header");
    throw new PredictionError("unsupported-codec", "RIFF without WAVE");
  }
  let offset = 12;
  let format = { start: 0, length: 0 };
  for (let chunk = 0; chunk < MOST_CHUNKS && offset + 8 <= source.size; chunk++) {
    const name = source.text(offset, 4);
    const length = source.number(offset + 4, 4, true);
    offset += 8;
    if (name === "data") return checkData(source, readFormat(source, format), offset, length);
    if (name === "fmt ") format = { start: offset, length: Math.min(length, 40, source.size - offset) };
    offset += length + (length % 2);
  }
  if (offset > source.size) throw new PredictionError("truncated", "the file ends before its samples");
  throw new PredictionError("bad-header", "no data chunk");
}

/**
 * @param {import("./source.js").Source} source
 * @param {{rate: number, channels: number, width: number, code: string}} format
 * @param {number} start of the samples
 * @param {number} length promised, in bytes
 * @returns {import("./containers.js").Container}
 */
function checkData(source, { rate, channels, width, code }, start, length) {
  const riff = source.number(4, 4, true);
  const there = source.size - start;
  const streamed = length >= STREAMING || (length === 0 && (riff + 8 <= start || riff >= STREAMING));
  checkLength(streamed ? there : length, there, channels * width, rate);
  const count = Math.floor((streamed ? there : Math.min(length, there)) / (channels * width));
  const layout = { start, count, channels, width, code, little: true, unsigned: width === 1 };
  return { name: "wav", rate, channels, layout };
}

/**
 * @param {import("./source.js").Source} source
 * @param {{start: number, length: number}} chunk
 */
function readFormat(source, { start, length }) {
  if (length < 16) throw new PredictionError("bad-header", "no complete fmt chunk before the samples");
  const [tag, channels] = [wavTag(source, start, length), source.number(start + 2, 2, true)];
  const [rate, frame, bits] = [source.number(start + 4, 4, true), source.number(start + 12, 2, true), source.number(start + 14, 2, true)];
  if (!(tag in CODECS)) throw new PredictionError("unsupported-codec", `WAVE codec 0x${tag.toString(16).padStart(4, "0")}`);
  if (!channels || !rate || !frame || frame % channels) {
    throw new PredictionError("bad-header", `${channels} channels, ${rate} Hz, ${frame} bytes a frame`);
  }
  const width = frame / channels;
  const [code, widths] = CODECS[tag];
  if (!widths.includes(width) || bits < 8)
    throw new PredictionError("unsupported-codec", `WAVE codec ${tag} with ${bits} bits in ${width} bytes`);
  if (bits > 8 * width) throw new PredictionError("bad-header", `${bits} bits in ${width} bytes`);
  return { rate, channels, width, code };
}

/**
 * @param {import("./source.js").Source} source
 * @param {number} start of the fmt chunk
 * @param {number} length
 */
function wavTag(source, start, length) {
  const tag = source.number(start, 2, true);
  const extended = tag === EXTENSIBLE && length >= 40 && source.text(start + 26, 14) === GUID_TAIL;
  return extended ? source.number(start + 24, 2, true) : tag;
}
