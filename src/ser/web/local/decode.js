/** FLAC, Ogg and MP3 by the browser's own decoders, at the file's own rate. */

import { PredictionError } from "../errors.js";
import { checkMissing } from "./lengths.js";
import { BRICK_WALL, resample } from "./resample.js";

const OPUS_RATE = 48_000;
/** @type {Record<string, string>} */
const TYPES = { flac: "audio/flac", ogg: 'audio/ogg; codecs="vorbis"', opus: 'audio/ogg; codecs="opus"', mp3: "audio/mpeg" };

/**
 * @param {Uint8Array} bytes of the whole file; they are gone afterwards
 * @param {import("./containers.js").Container} container
 * @returns {Promise<Float32Array[]>} one for each channel
 * @throws {PredictionError} unsupported-codec, bad-header, header-only or truncated
 */
export async function decode(bytes, { name, rate, promised }) {
  const from = name === "opus" ? OPUS_RATE : rate;
  const buffer = await decodeAt(bytes, name, from);
  if (!buffer.length) throw new PredictionError("header-only", "the file has a header but no samples");
  if (promised) checkMissing((promised - buffer.length) / from);
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, channel) => buffer.getChannelData(channel));
  return channels.map((channel) => resample(channel, from, rate, BRICK_WALL));
}

/**
 * @param {Uint8Array} bytes
 * @param {string} name of the container
 * @param {number} rate Hz; the browser would resample to any other than the file's own
 * @returns {Promise<AudioBuffer>}
 */
async function decodeAt(bytes, name, rate) {
  if (!document.createElement("audio").canPlayType(TYPES[name]))
    throw new PredictionError("unsupported-codec", `this browser knows no ${name}; convert it to WAV`);
  try {
    return await new OfflineAudioContext(1, 1, rate).decodeAudioData(/** @type {ArrayBuffer} */ (bytes.buffer));
  } catch (error) {
    const { name: kind, message } = /** @type {Error} */ (error);
    if (kind === "NotSupportedError")
      throw new PredictionError("unsupported-codec", `this browser decodes nothing at ${rate} Hz; convert it to WAV`);
    throw new PredictionError(name === "flac" ? "truncated" : "bad-header", `the browser's decoder rejects the file: ${message}`);
  }
}
