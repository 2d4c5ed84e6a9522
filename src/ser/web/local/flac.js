/** FLAC: RFC 9639, section 8.2. */

import { PredictionError } from "../errors.js";

/** What a frame begins with. */
const SYNC = 0xfff8;
const SYNC_BITS = 0xfffe;

/**
 * @param {import("./source.js").Source} source
 * @param {number} start of the stream, after a tag
 * @returns {import("./containers.js").Container}
 * @throws {PredictionError} bad-header or header-only
 */
export function identifyFlac(source, start) {
  const info = start + 8;
  const streaminfo = (source.byte(start + 4) & 0x7f) === 0 && source.number(start + 4, 4, false) % (1 << 24) === 34;
  const rate = source.number(info + 10, 4, false) >>> 12;
  if (!streaminfo || info + 34 > source.size || !rate) throw new PredictionError("bad-header", "no STREAMINFO behind the first four bytes");
  const channels = ((source.byte(info + 12) >> 1) & 7) + 1;
  const promised = (source.byte(info + 13) & 15) * 2 ** 32 + source.number(info + 14, 4, false);
  const audio = audioStart(source, start + 4);
  if (audio === source.size) throw new PredictionError("header-only", "the file has a header but no samples");
  if ((source.number(audio, 2, false) & SYNC_BITS) !== SYNC) throw new PredictionError("bad-header", "no frame behind the header");
  return { name: "flac", rate, channels, promised: promised || undefined };
}

/**
 * @param {import("./source.js").Source} source
 * @param {number} block where the first block of metadata begins
 * @returns {number} where the first frame does
 */
function audioStart(source, block) {
  let last = false;
  while (!last && block + 4 <= source.size) {
    last = source.byte(block) >= 0x80;
    block += 4 + (source.number(block, 4, false) % (1 << 24));
  }
  return block;
}
