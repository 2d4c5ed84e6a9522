/** Samples as a WAV file: RIFF, one format chunk, one data chunk, 16-bit PCM (Microsoft and IBM, 1991). */

const HEADER = 44;

/**
 * @param {Float32Array[]} blocks one after the other, full scale 1; mono
 * @param {number} rate Hz
 * @returns {Blob} audio/wav
 */
export function encodeWav(blocks, rate) {
  const count = blocks.reduce((sum, block) => sum + block.length, 0);
  const view = new DataView(new ArrayBuffer(HEADER + 2 * count));
  writeHeader(view, count, rate);
  let offset = HEADER;
  for (const block of blocks) {
    for (const sample of block) {
      view.setInt16(offset, Math.round(Math.min(1, Math.max(-1, sample)) * 32767), true);
      offset += 2;
    }
  }
  return new Blob([view], { type: "audio/wav" });
}

/**
 * @param {DataView} view
 * @param {number} count samples
 * @param {number} rate Hz
 */
function writeHeader(view, count, rate) {
  /** @type {(offset: number, word: string) => void} */
  const text = (offset, word) => [...word].forEach((letter, index) => view.setUint8(offset + index, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, HEADER - 8 + 2 * count, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); // bytes of the format chunk
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true); // bytes a second
  view.setUint16(32, 2, true); // bytes of a sample of all channels
  view.setUint16(34, 16, true); // bits of a sample
  text(36, "data");
  view.setUint32(40, 2 * count, true);
}
