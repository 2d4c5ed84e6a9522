/** MP3. Bits of a frame's header: ISO 11172-3, 2.4.1.3; the tag of Xing, which states the length. */

import { PredictionError } from "../errors.js";

/** Hz, of MPEG 1; MPEG 2 has half, MPEG 2.5 a quarter. */
const RATES = [44_100, 48_000, 32_000];
const HAS_FRAMES = 1;
/** Padding that an encoder adds before and after the sound and a decoder removes. */
const SPARE_FRAMES = 4;

/**
 * @param {import("./source.js").Source} source
 * @returns {number} length of the ID3v2 tag in front of the audio: 7 bits a byte, 10 more for its own header
 */
export function id3Bytes(source) {
  if (source.text(0, 3) !== "ID3" || source.size < 10) return 0;
  return 10 + [6, 7, 8, 9].reduce((sum, at) => sum * 128 + (source.byte(at) & 0x7f), 0);
}

/**
 * @param {import("./source.js").Source} source
 * @param {number} start of the first frame
 * @returns {import("./containers.js").Container | null} null: nothing of the kind begins there
 * @throws {PredictionError} unsupported-codec or not-audio
 */
export function identifyMpeg(source, start) {
  const [first, second, third, fourth] = [0, 1, 2, 3].map((index) => source.byte(start + index));
  if (start + 4 > source.size || first !== 0xff || (second & 0xe0) !== 0xe0) return null;
  const layer = (second >> 1) & 3;
  if (layer === 2) throw new PredictionError("unsupported-codec", "MPEG layer II");
  if (layer === 0 && second & 0x10) throw new PredictionError("unsupported-codec", "AAC");
  const [version, rate] = [(second >> 3) & 3, (third >> 2) & 3];
  if (layer !== 1 || version === 1 || third >> 4 === 15 || rate === 3) throw new PredictionError("not-audio", "not a known audio format");
  const shift = version === 3 ? 0 : version === 2 ? 1 : 2;
  const channels = fourth >> 6 === 3 ? 1 : 2;
  return { name: "mp3", rate: RATES[rate] >> shift, channels, promised: promisedSamples(source, start, shift ? 576 : 1152) };
}

/**
 * @param {import("./source.js").Source} source
 * @param {number} start of the first frame
 * @param {number} size samples of a frame
 * @returns {number | undefined} undefined: no tag states it
 */
function promisedSamples(source, start, size) {
  const head = source.text(start, 256);
  const tag = Math.max(head.indexOf("Xing"), head.indexOf("Info"));
  if (tag < 0 || !(source.byte(start + tag + 7) & HAS_FRAMES)) return undefined;
  return Math.max(0, source.number(start + tag + 8, 4, false) - SPARE_FRAMES) * size;
}
