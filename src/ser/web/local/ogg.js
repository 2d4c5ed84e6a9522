/** Ogg with Vorbis or Opus: RFC 3533, RFC 7845; Vorbis I specification, 4.2.2. */

import { PredictionError } from "../errors.js";

/** Seconds; a page holds no more, so a stream whose first one says that it ends later was cut out of another. */
const LONGEST_PAGE = 31;
/** Hz, of the positions that pages of Opus state. */
const OPUS_CLOCK = 48_000;
const LARGEST_PAGE = 27 + 255 + 255 * 255;
/** Hz at which an Opus decoder may give its samples. */
const OPUS_RATES = [8000, 12000, 16000, 24000, 48000];

/**
 * @param {import("./source.js").Source} source
 * @returns {import("./containers.js").Container}
 * @throws {PredictionError} unsupported-codec, bad-header or truncated
 */
export function identifyOgg(source) {
  const packet = 27 + source.byte(26);
  const opus = source.text(packet, 8) === "OpusHead";
  if (!opus && source.text(packet, 7) !== "\x01vorbis") throw new PredictionError("unsupported-codec", "Ogg without Vorbis or Opus");
  const last = lastPage(source);
  const channels = source.byte(packet + (opus ? 9 : 11));
  const rate = opus ? opusRate(source.number(packet + 12, 4, true)) : source.number(packet + 12, 4, true);
  if (!channels || !rate) throw new PredictionError("bad-header", `${channels} channels, ${rate} Hz`);
  const whole = position(source, firstPage(source)) <= LONGEST_PAGE * (opus ? OPUS_CLOCK : rate);
  const promised = whole ? position(source, last) - (opus ? source.number(packet + 10, 2, true) : 0) : undefined;
  return { name: opus ? "opus" : "ogg", rate, channels, promised };
}

/**
 * @param {number} original Hz, of what was encoded
 * @returns {number} the lowest rate of a decoder that loses nothing, at which libsndfile decodes
 */
function opusRate(original) {
  return OPUS_RATES.find((rate) => original && original <= rate) ?? 48000;
}

/**
 * @param {import("./source.js").Source} source
 * @param {number} page where it begins
 * @returns {number} samples up to its end; 0 where none ends in it
 */
function position(source, page) {
  const high = source.number(page + 10, 4, true);
  return high < 2 ** 20 ? high * 2 ** 32 + source.number(page + 6, 4, true) : 0; // all bits are set where no packet ends
}

/**
 * @param {import("./source.js").Source} source
 * @param {number} page where it begins
 * @returns {number} where it ends
 */
function pageEnd(source, page) {
  const segments = source.byte(page + 26);
  let end = page + 27 + segments;
  for (let index = 0; index < segments; index++) end += source.byte(page + 27 + index);
  return end;
}

/**
 * @param {import("./source.js").Source} source
 * @returns {number} where the first page begins that samples end in
 */
function firstPage(source) {
  let page = 0;
  while (page < source.size && !position(source, page)) page = pageEnd(source, page);
  return page;
}

/**
 * @param {import("./source.js").Source} source
 * @returns {number} where the last page begins
 * @throws {PredictionError} truncated: it is not whole, or does not say that it is the last
 */
function lastPage(source) {
  let page = source.size - 4;
  const least = Math.max(0, source.size - 2 * LARGEST_PAGE);
  while (page >= least && source.text(page, 4) !== "OggS") page--;
  if (page < least || pageEnd(source, page) > source.size || !(source.byte(page + 5) & 4)) {
    throw new PredictionError("truncated", "the stream stops before its last page");
  }
  return page;
}
