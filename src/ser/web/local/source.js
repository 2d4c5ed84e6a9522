/** The bytes of a file, read without ever running past their end. */

export class Source {
  /** @param {Uint8Array} bytes of the whole file */
  constructor(bytes) {
    this.bytes = bytes;
    this.size = bytes.length;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /**
   * @param {number} offset
   * @param {number} count
   * @returns {string} one character for each byte; shorter where the file ends
   */
  text(offset, count) {
    return String.fromCharCode(...this.bytes.subarray(offset, offset + count));
  }

  /**
   * @param {number} offset
   * @returns {number} a byte; 0 after the end
   */
  byte(offset) {
    return this.bytes[offset] ?? 0;
  }

  /**
   * @param {number} offset
   * @param {2 | 4} count bytes
   * @param {boolean} little the lowest byte first
   * @returns {number} without sign; zeros after the end
   */
  number(offset, count, little) {
    let value = 0;
    for (let index = 0; index < count; index++) value = value * 256 + this.byte(offset + (little ? count - 1 - index : index));
    return value;
  }
}
