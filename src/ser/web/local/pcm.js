/**
 * Uncompressed samples of a file, read like libsndfile.
 *
 * @typedef {object} Layout
 * @property {number} start byte of the first sample
 * @property {number} count samples of each channel
 * @property {number} channels
 * @property {number} width bytes of one sample of one channel
 * @property {string} code integer, float, alaw or mulaw
 * @property {boolean} little the lowest byte first
 * @property {boolean} unsigned of integers
 */

/** ITU-T G.711, as 16-bit samples. */
const ALAW = Float32Array.from({ length: 256 }, (_, byte) => alaw(byte) / 32768);
const MULAW = Float32Array.from({ length: 256 }, (_, byte) => mulaw(byte) / 32768);

/** @param {number} byte */
function alaw(byte) {
  const code = byte ^ 0x55;
  const [segment, step] = [(code >> 4) & 7, (code & 15) << 4];
  const size = segment ? (step + 0x108) << (segment - 1) : step + 8;
  return code & 0x80 ? size : -size;
}

/** @param {number} byte */
function mulaw(byte) {
  const code = ~byte & 0xff;
  const size = ((((code & 15) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84;
  return code & 0x80 ? -size : size;
}

/**
 * @param {DataView} view of the file
 * @param {Layout} layout
 * @returns {(offset: number) => number} the sample that begins at a byte; full scale is 1
 */
function reader(view, { width, code, little, unsigned }) {
  if (code === "alaw") return (offset) => ALAW[view.getUint8(offset)];
  if (code === "mulaw") return (offset) => MULAW[view.getUint8(offset)];
  if (code === "float") return width === 4 ? (offset) => view.getFloat32(offset, little) : (offset) => view.getFloat64(offset, little);
  if (width === 1) return unsigned ? (offset) => (view.getUint8(offset) - 128) / 128 : (offset) => view.getInt8(offset) / 128;
  if (width === 2) return (offset) => view.getInt16(offset, little) / 32768;
  if (width === 4) return (offset) => view.getInt32(offset, little) / 2147483648;
  const [low, high] = little ? [0, 1] : [2, 0];
  return (offset) => (view.getInt16(offset + high, little) * 256 + view.getUint8(offset + low)) / 8388608;
}

/** A recording whose samples are decoded when they are asked for. */
export class PcmRecording {
  /**
   * @param {Uint8Array} bytes of the whole file
   * @param {import("./containers.js").Container} container
   * @param {Layout} layout of the container
   */
  constructor(bytes, { name, rate, channels }, layout) {
    this.name = name;
    this.rate = rate;
    this.channels = channels;
    this.length = layout.count;
    this.layout = layout;
    this.read = reader(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), layout);
  }

  /**
   * @param {number} first sample
   * @param {number} last the first after the last
   * @returns {Float32Array[]} one for each channel
   */
  samples(first, last) {
    const { start, width, channels } = this.layout;
    return Array.from({ length: channels }, (_, channel) => {
      const found = new Float32Array(last - first);
      let offset = start + (first * channels + channel) * width;
      for (let index = 0; index < found.length; index++, offset += channels * width) found[index] = this.read(offset);
      return found;
    });
  }
}
