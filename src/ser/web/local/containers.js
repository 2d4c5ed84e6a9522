/**
 * What a file's bytes say: which container and codec, and whether the header promises more than the bytes that are there.
 * The same checks as of `ser.audio.containers`, with the same codes.
 *
 * @typedef {object} Container
 * @property {"wav" | "aiff" | "flac" | "ogg" | "opus" | "mp3"} name ogg: Vorbis
 * @property {number} rate Hz, of the samples that `ser` would decode
 * @property {number} channels
 * @property {import("./pcm.js").Layout} [layout] position of the samples in formats without compression
 * @property {number} [promised] samples of each channel that the header states; undefined: it does not
 */

import { PredictionError } from "../errors.js";
import { identifyAiff } from "./aiff.js";
import { identifyFlac } from "./flac.js";
import { id3Bytes, identifyMpeg } from "./mpeg.js";
import { identifyOgg } from "./ogg.js";
import { identifyWav } from "./riff.js";
import { Source } from "./source.js";

const LEAST_RATE = 4000;
const MOST_RATE = 1 << 22;
const MOST_CHANNELS = 1024;
/** Samples times channels of 16 ms. */
const MOST_VALUES = 1 << 21;

/** @type {Record<string, string>} first bytes -> what they begin */
const OTHERS = {
  "RF64": "RF64",
  "RIFX": "RIFX",
  "riff": "Wave64",
  "caff": "CAF",
  ".snd": "AU",
  "NIST": "NIST SPHERE",
  "wvpk": "WavPack",
  "MAC ": "Monkey's Audio",
  "\x1aE\xdf\xa3": "Matroska or WebM",
  "\x30\x26\xb2\x75": "Windows Media",
  "#!AM": "AMR",
  "ADIF": "AAC",
};

/**
 * @param {Uint8Array} bytes of the whole file
 * @returns {Container} detected by content, with its header checked
 * @throws {PredictionError} empty, lfs-pointer, not-audio, unsupported-codec, bad-header, header-only, truncated, rate-too-low or too-long
 */
export function identify(bytes) {
  const source = new Source(bytes);
  if (!source.size) throw new PredictionError("empty", "0 bytes");
  if (source.text(0, 23) === "version https://git-lfs") {
    throw new PredictionError("lfs-pointer", "a git-LFS pointer, not the audio; git lfs pull fetches it");
  }
  const found = containerOf(source);
  checkSizes(found);
  return found;
}

/** @param {Source} source */
function containerOf(source) {
  const name = source.text(0, 4);
  if (name === "RIFF") return identifyWav(source);
  if (name === "FORM") return identifyAiff(source);
  if (name === "OggS") return identifyOgg(source);
  const start = id3Bytes(source);
  if (source.text(start, 4) === "fLaC") return identifyFlac(source, start);
  return identifyMpeg(source, start) ?? refuse(source, start);
}

/**
 * @param {Source} source
 * @param {number} start bytes of a tag in front
 * @returns {never}
 */
function refuse(source, start) {
  if (start) throw new PredictionError(start >= source.size ? "truncated" : "not-audio", "an ID3 tag without audio after it");
  const name = source.text(4, 4) === "ftyp" ? "MP4 or QuickTime" : OTHERS[source.text(0, 4)];
  if (name) throw new PredictionError("unsupported-codec", `${name}; convert it to WAV or FLAC`);
  throw new PredictionError("not-audio", "not a known audio format");
}

/** @param {Container} of */
function checkSizes({ rate, channels }) {
  if (channels > MOST_CHANNELS) throw new PredictionError("bad-header", `${channels} channels`);
  if (rate < LEAST_RATE) throw new PredictionError("rate-too-low", `${rate} Hz; at least ${LEAST_RATE} Hz are needed`);
  if (rate > MOST_RATE) throw new PredictionError("too-long", `${rate} Hz: a second is more than ${MOST_RATE} values`);
  if (0.016 * rate * channels > MOST_VALUES) {
    throw new PredictionError("too-long", `${channels} channels at ${rate} Hz: 16 ms are more than ${MOST_VALUES} values`);
  }
}
