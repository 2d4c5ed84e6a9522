/** From bytes to a prepared waveform: the numbers of libsndfile, `ser.audio.waveform` and `ser.audio.vad_energy`. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { identify } from "../../src/ser/web/local/containers.js";
import { checkLength } from "../../src/ser/web/local/lengths.js";
import { recordingOf } from "../../src/ser/web/local/recording.js";
import { resample } from "../../src/ser/web/local/resample.js";
import { scan } from "../../src/ser/web/local/screening.js";
import { Source } from "../../src/ser/web/local/source.js";
import { counter, findSpeech } from "../../src/ser/web/local/vad_energy.js";
import { framePower, hopEnergy, mixDown, prepare } from "../../src/ser/web/local/waveform.js";
import { encodeWav } from "../../src/ser/web/wav.js";
import { assertClose, golden } from "./golden.js";

const { audio, samples, hop, energy, power, speech, prepared } = golden.waveform;
const MONO = Float32Array.from(samples, (/** @type {number} */ sample) => sample / 32768);

/**
 * @param {...(string | number[])} parts
 * @returns {Uint8Array}
 */
function bytes(...parts) {
  return Uint8Array.from(parts.flatMap((part) => (typeof part === "string" ? [...part].map((letter) => letter.charCodeAt(0)) : part)));
}

/**
 * @param {number} value
 * @param {number} count
 */
const little = (value, count) => Array.from({ length: count }, (_, index) => Math.floor(value / 256 ** index) % 256);
/**
 * @param {number} value
 * @param {number} count
 */
const big = (value, count) => little(value, count).reverse();

/**
 * @param {number} tag of the codec
 * @param {number} width bytes of a sample
 * @param {number[]} data
 * @param {number} [channels]
 */
function wav(tag, width, data, channels = 1) {
  const frame = width * channels;
  const format = [...little(tag, 2), ...little(channels, 2), ...little(8000, 4), ...little(8000 * frame, 4), ...little(frame, 2)];
  return bytes(
    "RIFF",
    little(36 + data.length, 4),
    "WAVEfmt ",
    little(16, 4),
    format,
    little(8 * width, 2),
    "data",
    little(data.length, 4),
    data,
  );
}

/** @param {Uint8Array} content */
function decoded(content) {
  const recording = recordingOf({ container: identify(content), bytes: content });
  return recording.samples(0, recording.length).map((channel) => Array.from(channel));
}

/**
 * @param {string} reason
 * @param {() => void} act
 */
function refuses(reason, act) {
  assert.throws(act, (error) => /** @type {any} */ (error).reason === reason);
}

test("the 256 bytes of G.711 are the samples of libsndfile", () => {
  const all = Array.from({ length: 256 }, (_, byte) => byte);
  const scaled = (/** @type {number[]} */ values) => values.map((value) => value / 32768);
  assertClose(decoded(wav(6, 1, all)), [scaled(golden.g711.ALAW)], 0);
  assertClose(decoded(wav(7, 1, all)), [scaled(golden.g711.ULAW)], 0);
});

test("whole numbers of one to four bytes are samples, channel by channel", () => {
  assert.deepEqual(decoded(wav(1, 1, [0, 128, 192])), [[-1, 0, 0.5]]);
  assert.deepEqual(decoded(wav(1, 2, [...little(16384, 2), 0, 128], 2)), [[0.5], [-1]]);
  assert.deepEqual(decoded(wav(1, 3, [0, 0, 64, 0, 0, 192])), [[0.5, -0.5]]);
  assert.deepEqual(decoded(wav(1, 4, [0, 0, 0, 64])), [[0.5]]);
  assert.deepEqual(decoded(wav(3, 4, [0, 0, 0x80, 0x3e])), [[0.25]]);
});

test("an AIFF file has its highest byte first, and its rate as an 80-bit float", () => {
  const rate = [0x40, 0x0b, 0xfa, 0, 0, 0, 0, 0, 0, 0]; // 8000 Hz
  const common = bytes("COMM", big(18, 4), big(1, 2), big(2, 4), big(16, 2), rate);
  const sound = bytes("SSND", big(12, 4), big(0, 8), big(16384, 2), big(49152, 2));
  const content = bytes("FORM", big(4 + common.length + sound.length, 4), "AIFF", [...common], [...sound]);
  assert.deepEqual([identify(content).name, identify(content).rate], ["aiff", 8000]);
  assert.deepEqual(decoded(content), [[0.5, -0.5]]);
});

test("what cannot be used has its reason", () => {
  const whole = wav(1, 2, Array(8000).fill(0));
  refuses("empty", () => identify(new Uint8Array()));
  refuses("not-audio", () => identify(bytes("so it goes, so it goes, so it goes")));
  refuses("lfs-pointer", () => identify(bytes("version https://git-lfs.github.com/spec/v1")));
  refuses("unsupported-codec", () => identify(wav(2, 1, [0, 0])));
  refuses("truncated", () => identify(whole.slice(0, 4000)));
  refuses("header-only", () => identify(whole.slice(0, 44)));
  refuses("bad-header", () => identify(bytes([...whole.slice(0, 22)], [0, 0], [...whole.slice(24)])));
  refuses("silent", () => scan(recordingOf({ container: identify(whole), bytes: whole }), "a.wav"));
});

test("a header may promise 25 ms too much, and no more", () => {
  checkLength(2 * 8200, 2 * 8000, 2, 8000);
  refuses("truncated", () => checkLength(2 * 8201, 2 * 8000, 2, 8000));
  refuses("header-only", () => checkLength(100, 1, 2, 8000));
});

test("nothing is read behind the end of a file", () => {
  const source = new Source(bytes("ab", [1, 2]));
  assert.equal(source.text(0, 9), "ab\u0001\u0002");
  assert.deepEqual([source.number(2, 2, true), source.number(2, 2, false), source.number(3, 4, true)], [513, 258, 2]);
});

test("loudness, speech and the stages of a waveform are those of Python", () => {
  assertClose(hopEnergy(MONO, hop), energy, 1e-4);
  assertClose(framePower(Float64Array.from(energy), hop), power, 1e-12);
  assert.deepEqual(Array.from(findSpeech(Float64Array.from(power), 30)), speech);
  assertClose(prepare(MONO, audio.sampling_rate, audio).waveform, prepared, 1e-6);
});

test("hops of speech are counted between two hops", () => {
  const count = counter(Uint8Array.of(0, 1, 1, 0, 1));
  assert.deepEqual([count(0, 5), count(1, 3), count(3, 99)], [3, 2, 1]);
});

test("channels become their mean", () => {
  assert.deepEqual(Array.from(mixDown([Float32Array.of(1, 0), Float32Array.of(0, 0.5)])), [0.5, 0.25]);
});

test("a tone stays a tone at another rate", () => {
  const tone = (/** @type {number} */ rate) =>
    Float32Array.from({ length: rate / 2 }, (_, at) => 0.5 * Math.sin((2 * Math.PI * 440 * at) / rate));
  const found = resample(tone(44_100), 44_100, 16_000);
  assert.equal(found.length, 8000);
  assertClose(found.subarray(1000, 7000), tone(16_000).subarray(1000, 7000), 1e-5);
});

test("a recording is written as a WAV file of sixteen bits that reads back", async () => {
  const blob = encodeWav([Float32Array.of(0, 0.5, -1), Float32Array.of(2, -2)], 44_100);
  const content = new Uint8Array(await blob.arrayBuffer());
  assert.deepEqual([identify(content).rate, blob.type], [44_100, "audio/wav"]);
  assert.deepEqual(decoded(content), [[0, 16384 / 32768, -32767 / 32768, 32767 / 32768, -32767 / 32768]]);
});
